"""A fault in the product: its caller learns that there was one, the log learns the rest, and serving goes on."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from tests.security.http_support import GOOD, app, run, served
from wattmesh_beckn.transport import Reply
from wattmesh_common.logs import JsonFormatter, TextFormatter

INNER = "/data/keys.json\n06:15 rooftop-9 forged\x1b[2J"
SIGNS = (b"Traceback", b"keys.json", b"KeyError", b".py", b"wattmesh", b"uvicorn", b"starlette")


class Broken:
    """A site with a fault."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        raise KeyError(INNER)


def test_a_fault_in_answering_a_call_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with served(app(Broken())) as street:
            peer = await street.connect()
            for _ in range(2):  # the second on the same connection
                await peer.send(GOOD)
                answer = await peer.answer()
                assert (answer.status, answer.error) == (500, "internal error; the log here says more")
                assert not [sign for sign in SIGNS if sign in answer.body]

    run(story)
    check_log(caplog.records, 2)


def test_a_fault_in_a_page_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    made = app(Broken())

    @made.get("/broken")
    async def broken() -> None:
        raise KeyError(INNER)

    async def story() -> None:
        async with served(made) as street:
            answer = await street.ask(b"GET /broken HTTP/1.1\r\nhost: street\r\n\r\n")
            assert (answer.status, answer.body) == (500, b"Internal Server Error")
            assert "server" not in answer.headers, "the version of the server is nobody's business"

    run(story)
    check_log(caplog.records, 1)


def check_log(records: list[logging.LogRecord], faults: int) -> None:
    told = [record for record in records if record.exc_info]
    assert len(told) == faults
    for record in told:
        for formatter in (TextFormatter(), JsonFormatter()):
            line = formatter.format(record)
            assert "KeyError" in line
            assert line.isprintable()
