"""A copy of a registry, against answers that are none. What it reads from a real one: tests/gateway/test_pages.py."""

from __future__ import annotations

import json

import pytest

from tests.beckn.support import BUYER, Replies, entry
from tests.world.clocks import run
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.transport import Reply, TransportError

ENTRY = json.loads(entry(BUYER, "BAP").model_dump_json(exclude_none=True))


def page(cursor: str, *, more: bool) -> Reply:
    return Reply(200, json.dumps({"entries": [ENTRY], "cursor": cursor, "more": more}).encode())


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ((TransportError("connection refused"),), "http://registry/lookup: connection refused"),
        ((Reply(400, b""),), "http://registry/lookup answered 400"),
        ((Reply(410, b""), Reply(410, b"")), "http://registry/lookup answered 410"),
        ((Reply(200, b"[]"),), "http://registry/lookup answered what is no page of subscriptions: 1 validation error"),
        ((page("a", more=True), page("a", more=True)), "http://registry/lookup answers the same page again"),
    ],
)
def test_what_is_no_answer_is_said(answers: tuple[Reply | Exception, ...], text: str) -> None:
    with pytest.raises(RegistryUnavailable) as caught:
        run(RegistryCopy("http://registry/", Replies(*answers)).update(0))
    assert str(caught.value).startswith(text)


def test_a_cursor_that_is_gone_makes_it_read_from_the_beginning() -> None:
    async def main() -> list[object]:
        registry = Replies(page("a", more=False), Reply(410, b""), page("b", more=False))
        copy = RegistryCopy("http://registry", registry)
        await copy.update(0)
        assert len(await copy.update(0)) == 1
        return [json.loads(body)["page"] for _, body, *_ in registry.sent]

    assert run(main()) == [{}, {"after": "a"}, {}]
