"""What dishonest partners try is tried over each version of Beckn."""

from __future__ import annotations

from functools import partial

import pytest

from tests.security import partners


@pytest.fixture(params=["v1", "v2"])
def played(request: pytest.FixtureRequest) -> partners.Played:
    """`partners.played`, over v1 and over v2."""
    return partial(partners.played, protocol=request.param)
