"""The reading tokens of the tests' markets."""

from __future__ import annotations

from wattmesh_common.reading_token import ReadingToken

TOKEN = ReadingToken("this-is-the-reading-token-of-the-market-in-tests")
ANOTHER = ReadingToken("this-is-the-reading-token-of-some-other-market")
