"""The gateway as a process sees it: real HTTP on the loopback, the container's command, real files."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.gateway.support import GATEWAY, REGISTRAR, World, asked, entry, key_file, token_file
from tests.world.subscribers import gateway_config, signer
from tests.world.tokens import TOKEN
from wattmesh_beckn.answers import ack
from wattmesh_beckn.http import add_calls
from wattmesh_beckn.registry import RegistryDirectory, Subscription, lookup
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer, check_signature, parse_header
from wattmesh_beckn.transport import HttpTransport, Reply
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.runtime import GatewayConfig
from wattmesh_common.serving import server_settings
from wattmesh_gateway.__main__ import main
from wattmesh_gateway.app import create_app
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry


class Server(uvicorn.Server):
    """uvicorn that says when it listens."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """An app at its own loopback port."""
    server = Server(server_settings(app))
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    await server.up.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


class Inn:
    """A seller that says when it was asked."""

    def __init__(self) -> None:
        self.asked: asyncio.Future[tuple[bytes, Mapping[str, str]]] = asyncio.get_running_loop().create_future()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        self.asked.set_result((body, headers))
        return ack()


def config(database: Path) -> GatewayConfig:
    return gateway_config(GATEWAY.subscriber_id, REGISTRAR, "http://gateway.street", database)


def now_entry(owner: Signer, role: Any, url: str) -> bytes:
    now = SystemClock().wall()
    values = {"url": url, "valid_from": utc(now - 60), "valid_until": utc(now + 600)}
    return entry(owner, role, **values).model_dump_json(exclude_none=True).encode()


def signed(by: Signer, body: bytes) -> dict[str, str]:
    now = int(SystemClock().wall())
    return {"content-type": "application/json", AUTHORIZATION: by.sign(body, created=now, expires=now + 30)}


def test_a_search_goes_over_http_from_buyer_to_gateway_to_seller(tmp_path: Path) -> None:
    async def story() -> None:
        clock, registry, transport = SystemClock(), Registry(tmp_path / "registry.db"), HttpTransport()
        gateway = Gateway(config(tmp_path / "registry.db"), GATEWAY, registry, transport, clock)
        inn, inn_app = Inn(), FastAPI()
        add_calls(inn_app, inn, "/house", ["search"])
        async with (
            served(create_app(gateway, transport, TOKEN)) as at,
            served(inn_app) as inn_at,
            httpx.AsyncClient(base_url=at) as http,
        ):
            buyer, seller = signer("buyer"), signer("seller")
            for body in (now_entry(buyer, "BAP", "http://buyer"), now_entry(seller, "BPP", f"{inn_at}/house")):
                reply = await transport.post(f"{at}/subscribe", body, signed(REGISTRAR, body), timeout_s=5)
                assert (reply.status, reply.body) == (200, b'{"status":"UNDER_SUBSCRIPTION"}')
            world = World()
            body = world.search_body("buyer", now=clock.wall())
            headers = signed(buyer, body)
            assert asked(await transport.post(f"{at}/search", body, headers, timeout_s=5)) == 1
            got, got_headers = await asyncio.wait_for(inn.asked, 5)
            assert (got, got_headers[AUTHORIZATION]) == (body, headers[AUTHORIZATION])
            check_signature(parse_header(got_headers[GATEWAY_AUTHORIZATION]), got, GATEWAY.public_key)

            [found] = await lookup(f"{at}/lookup", transport, type="BPP")
            assert (found.subscriber_id, found.url) == ("seller", f"{inn_at}/house")
            directory = RegistryDirectory(at, transport, clock)
            assert [one.type for one in await directory.find(GATEWAY.subscriber_id)] == ["BG"]

            assert (await http.get("/health/live")).json() == {"status": "live"}
            assert (await http.get("/health/ready")).json() == {"status": "ready"}
            metrics = (await http.get("/metrics")).text
            for line in (
                'wattmesh_gateway_subscriptions{type="BPP"} 1.0',
                'wattmesh_gateway_searches_total{result="acked"} 1.0',
                'wattmesh_gateway_broadcasts_total{outcome="acked"} 1.0',
                "wattmesh_gateway_queue_depth 0.0",
                "wattmesh_gateway_answer_seconds_count 1.0",
            ):
                assert line in metrics
            nowhere = await http.post("/select", content=b"{}")
            assert nowhere.status_code == 404
            assert (
                nowhere.json()["error"]["message"] == "no such path '/select'; there are /lookup, /search, /subscribe"
            )
            assert (await http.post("/lookup", content=b" " * 300_000)).status_code == 413
            assert "/subscribe" in (await http.get("/openapi.json")).json()["paths"]
            registry.close()
            assert (await http.get("/health/ready")).status_code == 503
            assert (await http.get("/metrics")).status_code == 503
        await transport.close()

    asyncio.run(story())


def config_file(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "config.json"
    values = config(tmp_path / "registry.db").model_dump(mode="json") | changes
    path.write_text(json.dumps(values))
    return path


def test_the_container_serves_until_sigterm_and_ends_cleanly(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wattmesh_gateway", "--host", "127.0.0.1", "--port", str(port),
            "--config", str(config_file(tmp_path)), "--keys", str(key_file(tmp_path / "keys.json")),
            "--token", str(token_file(tmp_path)),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                while True:
                    assert process.returncode is None
                    try:
                        ready = await http.get("/health/ready")
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
                assert ready.status_code == 200
                entries = (await http.post("/lookup", content=b"{}")).json()
                assert [Subscription.model_validate(one).type for one in entries] == ["BG"]
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in output.decode()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "gateway"}, "url: String should match pattern"),
        ({"registrar_keys": {}}, "registrar_keys: Dictionary should have at least 1 item"),
        ({"registrar_keys": {REGISTRAR.key_id: "AAAA"}}, "must be 32 bytes in base64, not 3"),
        ({"colour": "green"}, "colour: Extra inputs are not permitted"),
        ({"subscriber_id": "another"}, "has no key of 'another'"),
        (
            {"database": None, "database_uri": "/nowhere/uri"},
            "No such file or directory: '/nowhere/uri'",
        ),
        ({"database": "/nowhere/registry.db"}, "/nowhere/registry.db: cannot be locked (No such file or directory)"),
    ],
)
def test_a_start_that_cannot_be_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], text: str
) -> None:
    paths = ["--config", str(config_file(tmp_path, **changes)), "--keys", str(key_file(tmp_path / "keys.json"))]
    paths += ["--token", str(token_file(tmp_path))]
    with pytest.raises(SystemExit) as stopped:
        main(paths)
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err
