"""Two processes of one gateway on one PostgreSQL, one of which is killed in the middle of its work."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.gateway.support import GATEWAY, REGISTRAR, World, answer_of, entry, key_file, token_file
from tests.world.postgresql import uri_file
from tests.world.subscribers import gateway_config, signer
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import HttpTransport, Reply, TransportError
from wattmesh_cli.street.local import listen
from wattmesh_common.clock import SystemClock, utc

SELLERS = 40


class Replicas:
    """The processes, and whoever calls them as through a Service: at any that listens, once more at the next."""

    def __init__(self, folder: Path, transport: HttpTransport) -> None:
        config = gateway_config(GATEWAY.subscriber_id, REGISTRAR, "http://gateway.street")
        config = config.model_copy(update={"database": None, "database_uri": uri_file(folder)})
        (folder / "config").write_text(config.model_dump_json())
        files = {"--config": folder / "config", "--keys": key_file(folder / "keys"), "--token": token_file(folder)}
        self._files = [str(part) for option in files.items() for part in option]
        self._transport = transport
        self._turns = count()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self) -> str:
        """Start one more; its address."""
        with listen() as listener:
            port = listener.getsockname()[1]
        command = [sys.executable, "-m", "wattmesh_gateway", *self._files, "--host", "127.0.0.1", "--port", str(port)]
        at = f"http://127.0.0.1:{port}"
        self.running[at] = subprocess.Popen(command)  # noqa: ASYNC220 - our own, and it takes no time
        while (await self._ready(at)) != 200:
            assert self.running[at].poll() is None, "it does not start"
            await asyncio.sleep(0.05)
        return at

    async def _ready(self, at: str) -> int:
        with suppress(TransportError):
            return (await self._transport.get(f"{at}/health/ready", timeout_s=5)).status
        return 0

    def kill(self, at: str) -> None:
        """End one in the middle of whatever it does."""
        self.running[at].kill()
        self.running[at].wait()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Call one, and those after it where it cannot be reached or is busy."""
        while True:
            [*addresses] = self.running
            with suppress(TransportError):
                at = addresses[next(self._turns) % len(addresses)]
                reply = await self._transport.post(f"{at}{path}", body, headers, timeout_s=5)
                if reply.status != 503:
                    return reply


@asynccontextmanager
async def replicas(folder: Path) -> AsyncIterator[Replicas]:
    transport = HttpTransport()
    made = Replicas(folder, transport)
    try:
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait()
        await transport.close()


def signed(by: Signer, body: bytes) -> dict[str, str]:
    now = int(SystemClock().wall())
    return {"content-type": "application/json", AUTHORIZATION: by.sign(body, created=now, expires=now + 30)}


def registration(owner: Signer, role: Any) -> bytes:
    now = SystemClock().wall()
    times = {"valid_from": utc(now - 60), "valid_until": utc(now + 600)}
    return entry(owner, role, url="http://127.0.0.1:9", **times).model_dump_json(exclude_none=True).encode()


def test_what_was_registered_outlives_the_replica_that_took_it_and_the_other_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with replicas(tmp_path) as gateway:
            first, second = await gateway.start(), await gateway.start()
            buyer, taken = signer("buyer"), list[str]()
            body = registration(buyer, "BAP")
            assert (await gateway.post("/subscribe", body, signed(REGISTRAR, body))).status == 200

            async def register(numbers: range) -> None:
                for number in numbers:
                    owner = signer(f"house-{number}")
                    body = registration(owner, "BPP")
                    reply = await gateway.post("/subscribe", body, signed(REGISTRAR, body))
                    assert reply.status == 200, reply
                    taken.append(owner.subscriber_id)
                    if len(taken) == SELLERS // 2:
                        gateway.kill(first)

            await asyncio.gather(*(register(range(start, SELLERS, 4)) for start in range(4)))
            assert gateway.running[second].poll() is None

            search = World().search_body("buyer", now=SystemClock().wall())
            answer = await gateway.post("/search", search, signed(buyer, search))
            assert answer_of(answer)["message"]["ack"]["status"] == "ACK"
            found = await gateway.post(
                "/lookup", json.dumps({"type": "BPP"}).encode(), {"content-type": "application/json"}
            )
            assert found.status == 200, found
            assert {one["subscriber_id"] for one in answer_of(found)} == set(taken)
            assert len(taken) == SELLERS

    asyncio.run(main())
