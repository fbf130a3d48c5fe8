from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from fastapi import FastAPI
from uvicorn import Server

from tests.beckn.support import BUYER, Entries, Json, entry, example, make_context, rng
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.answers import ack, json_reply, nack
from wattmesh_beckn.client import Acked, BecknClient, Nacked
from wattmesh_beckn.context import ACTIONS
from wattmesh_beckn.errors import busy
from wattmesh_beckn.http import add_calls, add_not_found, add_post
from wattmesh_beckn.messages import CALLS, read_call, write_call
from wattmesh_beckn.receiver import MAX_BODY_BYTES, Received, Receiver
from wattmesh_beckn.transport import HttpTransport, Reply, Site
from wattmesh_common.clock import SystemClock
from wattmesh_common.serving import server_settings

JSON = {"content-type": "application/json"}


class Echo:
    """Answers with what it was asked."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply
        self.asked: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.asked.append((path, body, headers))
        return self.reply or json_reply(200, {"path": path, "size": len(body)})


def app(site: Site, actions: Sequence[str] = ("select", "confirm")) -> FastAPI:
    made = FastAPI()
    add_calls(made, site, "/beckn", actions)
    add_post(made, site, "/registry/lookup", "Lookup", {"type": "object"})
    add_not_found(made, lambda: "/beckn/<action> and /registry/lookup")
    return made


@asynccontextmanager
async def served(made: FastAPI) -> AsyncIterator[int]:
    """The port at which uvicorn serves an app."""
    config = server_settings(made)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup(sockets=[listener])
        try:
            yield listener.getsockname()[1]
        finally:
            await server.shutdown(sockets=[listener])


def post(site: Site, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """One POST over the network."""

    async def main() -> Reply:
        transport = HttpTransport()
        try:
            async with served(app(site)) as port:
                return await transport.post(
                    f"http://127.0.0.1:{port}{path}", body, {**JSON, **(headers or {})}, timeout_s=30
                )
        finally:
            await transport.close()

    return asyncio.run(main())


def raw_post(site: Site, *parts: bytes, then: str = "read") -> bytes:
    """What the server answers to these bytes; with `then="leave"`, hang up instead of reading."""

    async def main() -> bytes:
        async with asyncio.timeout(20), served(app(site)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for part in parts:
                writer.write(part)
                await writer.drain()
            answer = await read_answer(reader) if then == "read" else b""
            writer.close()
            return answer

    return asyncio.run(main())


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0])) if lengths else b"")


def error_of(reply: Reply) -> Json:
    answer: Json = json.loads(reply.body)
    assert answer["message"] == {"ack": {"status": "NACK"}}
    error: Json = answer["error"]
    return error


def test_a_signed_message_goes_over_the_network_and_is_acknowledged() -> None:
    received: list[Received] = []

    class NoInbox:
        async def first_answer(self, _sender: str, _message_id: str, _action: str) -> None:
            """Everything is new."""

    class Household:
        def __init__(self) -> None:
            self.receiver = Receiver(
                subscriber_id="seller.street",
                domain=DOMAIN,
                actions=frozenset({"select"}),
                directory=Entries(entry(BUYER, "BAP", valid_until=time.time() + 3600)),
                inbox=NoInbox(),
                clock=SystemClock(),
                handler=self.handle,
                gateway_id=None,
            )

        async def handle(self, call: Received) -> Reply:
            received.append(call)
            return ack(heard="yes")

        async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
            return await self.receiver.receive(path.rpartition("/")[2], body, headers)

    async def main() -> tuple[Any, Any]:
        transport = HttpTransport()
        client = BecknClient(transport, SystemClock(), rng(1))
        message = read_call("select", example("select")).message
        context = make_context("select", now=time.time(), ttl_s=60)
        body = write_call(context, message)
        try:
            async with served(app(Household())) as port:
                url = f"http://127.0.0.1:{port}/beckn"
                good = await client.send(BUYER, f"{url}/select", body, context.expires_at)
                bad = await client.send(BUYER, f"{url}/confirm", body, context.expires_at)
        finally:
            await transport.close()
        assert received[0].body == body
        return good, bad

    good, bad = asyncio.run(main())
    assert good == Acked({"heard": "yes"})
    assert bad == Nacked(404, "30000", "no action 'confirm' here; there are select")


def test_the_body_arrives_byte_for_byte_with_lower_case_headers() -> None:
    site = Echo()
    body = b'\xff\x00 no json at all \r\n{"a": 1,  "b":2}'
    reply = post(site, "/beckn/select", body, {"Authorization": "Signature x", "X-A": "1"})
    assert json.loads(reply.body) == {"path": "/beckn/select", "size": len(body)}
    [(path, arrived, headers)] = site.asked
    assert (path, arrived, headers["x-a"]) == ("/beckn/select", body, "1")
    assert headers["authorization"] == "Signature x"
    assert all(name == name.lower() for name in headers)


def test_status_and_headers_of_an_answer_arrive() -> None:
    reply = post(Echo(nack(busy("too much work", 7))), "/beckn/select", b"{}")
    assert (reply.status, reply.headers["retry-after"], reply.headers["content-type"]) == (503, "7", "application/json")
    assert error_of(reply) == {"code": "40000", "message": "too much work"}


def test_a_body_of_256_kib_is_read_and_one_more_byte_is_refused() -> None:
    site = Echo()
    assert json.loads(post(site, "/beckn/select", b"x" * MAX_BODY_BYTES).body)["size"] == MAX_BODY_BYTES
    reply = post(site, "/beckn/select", b"x" * (MAX_BODY_BYTES + 1))
    assert reply.status == 413
    assert error_of(reply) == {"code": "30000", "message": "body is 262145 bytes; at most 262144 are read"}
    assert len(site.asked) == 1


HEAD = b"POST /beckn/select HTTP/1.1\r\nhost: x\r\n"


def test_an_announced_giant_is_refused_before_it_is_sent() -> None:
    site = Echo()
    answer = raw_post(site, HEAD, b"content-length: 999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body is 999999999 bytes; at most 262144 are read" in answer
    assert site.asked == []


def test_an_unannounced_giant_is_refused_as_soon_as_it_is_too_big() -> None:
    site = Echo()
    chunk = b"%x\r\n" % 200_000 + b"x" * 200_000 + b"\r\n"
    answer = raw_post(site, HEAD, b"transfer-encoding: chunked\r\n\r\n", chunk, chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"bytes; at most 262144 are read" in answer
    assert site.asked == []


def test_chunks_are_put_together() -> None:
    site = Echo()
    answer = raw_post(
        site, HEAD, b"transfer-encoding: chunked\r\n\r\n", b'2\r\n{"\r\n', b'3\r\na":\r\n2\r\n1}\r\n0\r\n\r\n'
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [body for _, body, _ in site.asked] == [b'{"a":1}']


@pytest.mark.parametrize(
    "rest",
    [
        b"transfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"transfer-encoding: chunked\r\n\r\n-5\r\nx\r\n",
        b"content-length: minus one\r\n\r\n",
        b"content-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    ],
)
def test_broken_http_never_reaches_the_site(rest: bytes) -> None:
    site = Echo()
    assert raw_post(site, HEAD + rest).startswith(b"HTTP/1.1 4")
    assert site.asked == []


def test_a_sender_that_hangs_up_in_the_middle_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    site = Echo()
    with caplog.at_level(logging.WARNING):
        raw_post(site, HEAD, b"content-length: 1000\r\n\r\n", b"only a part", then="leave")
    assert site.asked == []
    assert caplog.records == []


def test_any_other_path_is_answered_with_the_paths_there_are() -> None:
    for path in ("/", "/select", "/beckn/refund", "/beckn/select/more", "/registry/lookup2"):
        reply = post(Echo(), path, b"{}")
        assert reply.status == 404
        assert error_of(reply) == {
            "code": "30000",
            "message": f"no such path {path!r}; there are /beckn/<action> and /registry/lookup",
        }


def test_a_strange_path_is_quoted_in_part_and_escaped() -> None:
    reply = post(Echo(), "/%1b" + "x" * 500, b"{}")
    assert error_of(reply)["message"] == (
        f"no such path '/\\x1b{'x' * 98}'; there are /beckn/<action> and /registry/lookup"
    )


def test_a_get_is_not_answered() -> None:
    answer = raw_post(Echo(), b"GET /beckn/select HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
@pytest.mark.parametrize("path", [b"/nothing", b"/beckn/select/", b"/beckn"])
def test_an_unknown_page_is_not_found_and_leads_nowhere(method: bytes, path: bytes) -> None:
    answer = raw_post(Echo(), b"%s %s HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n" % (method, path))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"no such page '%s'; /docs says which there are" % path in answer
    assert b"elsewhere" not in answer


@cache
def document() -> Json:
    return app(Echo(), ACTIONS).openapi()


def references(node: Any) -> list[str]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [node["$ref"]] if isinstance(node, dict) and "$ref" in node else []
    return own + [found for below in inner for found in references(below)]


def schema(path: str) -> Json:
    found: Json = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return found


@pytest.mark.parametrize("action", ACTIONS)
def test_the_openapi_document_has_each_actions_schema(action: str) -> None:
    found = schema(f"/beckn/{action}")
    assert document()["paths"][f"/beckn/{action}"]["post"]["summary"] == f"Beckn {action}"
    assert found["title"] == CALLS[action].__name__
    assert found["required"] == ["context", "message"]
    assert references(found) == [], "a reference into a schema leads nowhere within an OpenAPI document"
    fits(example(action), found)


def fits(value: Any, described: Json) -> None:
    """Every field of an example is described, and every required one is in it."""
    options = described.get("anyOf", [described])
    for option in options:
        if isinstance(value, dict) and option.get("type") == "object":
            assert set(option.get("required", [])) <= set(value) <= set(option["properties"])
            for name, inner in value.items():
                fits(inner, option["properties"][name])
            return
        if isinstance(value, list) and option.get("type") == "array":
            for place, inner in enumerate(value):
                fits(inner, option["prefixItems"][place] if "prefixItems" in option else option["items"])
            return
        if isinstance(value, str) and option.get("type") == "string":
            return
    raise AssertionError(f"{value!r} is none of {options}")


def test_the_openapi_document_says_that_numbers_are_text() -> None:
    found = schema("/beckn/select")
    order = found["properties"]["message"]["properties"]["order"]["properties"]
    quantity = order["items"]["items"]["properties"]["quantity"]["anyOf"][0]
    measure = quantity["properties"]["selected"]["properties"]["measure"]
    assert measure["properties"]["value"]["pattern"] == r"^\d{1,12}(\.\d{1,3})?$"
    assert schema("/registry/lookup") == {"type": "object"}
    assert "/{rest}" not in document()["paths"]
