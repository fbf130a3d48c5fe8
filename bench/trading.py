"""What trading costs on this machine: messages per contract, contracts per second over HTTP, memory of a runtime.

Run by `make bench`; prints a table. Nothing here is asserted: numbers are for docs and notes.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
from fastapi import FastAPI, Request, Response
from httpx_aiohttp import AiohttpTransport

from wattmesh_beckn.logs import configure
from wattmesh_cli.output import print_table
from wattmesh_cli.street.keys import kept_signers
from wattmesh_cli.street.local import listen, locked, running_street, serving
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan, runtime_config

STREET = Path(__file__).parents[1] / "examples" / "street.yaml"
SPEEDS = (480, 960, 1920, 3840)
RUN_S = 20
RUNTIME_WAIT_S = 60

MARKET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 1000}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: home}
spec:
  replicas: HOUSEHOLDS
  householdsPerPod: HOUSEHOLDS
  battery: {capacityKwh: 10, initialKwh: 8}
  load: {annualKwh: 3500}
"""


def main() -> None:
    """Measure and print."""
    configure(io.StringIO())
    trading = [asyncio.run(_trade(speed)) for speed in SPEEDS]
    print_table(
        ["SPEED", "CONTRACTS", "CONTRACTS/S", "MISSED", "MESSAGES", "MESSAGES/CONTRACT", "CPU %"],
        trading,
        right=["SPEED", "CONTRACTS", "CONTRACTS/S", "MISSED", "MESSAGES", "MESSAGES/CONTRACT", "CPU %"],
    )
    rates = [(name, f"{asyncio.run(_messages_per_s(make)):.0f}") for name, make in TRANSPORTS.items()]
    print_table(["CLIENT", "BARE POSTS/S"], rates, right=["BARE POSTS/S"])
    print_table(["HOUSEHOLDS IN A RUNTIME", "RESIDENT MB"], [(str(n), _memory_mb(n)) for n in (1, 10, 100)])


TRANSPORTS: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "httpx": lambda: httpx.AsyncHTTPTransport(),
    "httpx over aiohttp": lambda: AiohttpTransport(),
}
POSTS = 3000
POSTS_AT_ONCE = 20


async def _messages_per_s(make: Callable[[], httpx.AsyncBaseTransport]) -> float:
    """POSTs of 1 kB to a bare FastAPI endpoint in the same process, over loopback: the least that a message costs."""
    app = FastAPI()

    @app.post("/")
    async def take(request: Request) -> Response:
        return Response(await request.body())

    listener = listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    async with serving(app, listener), httpx.AsyncClient(transport=make(), trust_env=False) as client:
        body = b"x" * 1024

        async def send() -> None:
            for _ in range(POSTS // POSTS_AT_ONCE):
                (await client.post(url, content=body)).raise_for_status()

        await send()
        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(POSTS_AT_ONCE)))
        return POSTS / (time.perf_counter() - began)


async def _trade(speed: int) -> tuple[str, ...]:
    """A street over loopback HTTP for 20 s of wall time, all in one process."""
    street_plan = plan(load([str(STREET)]))[0]
    with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
        async with running_street(street_plan, Path(folder), speed=speed, last_for=RUN_S * speed) as street:
            cpu = time.process_time()
            await asyncio.sleep(street.remaining_s())
            cpu_share = (time.process_time() - cpu) / RUN_S
            await street.finish(10)
            return _row(street, speed, cpu_share)


def _row(street: StreetRun, speed: int, cpu_share: float) -> tuple[str, ...]:
    contracts = missed = messages = 0
    trade: Counter[str] = Counter()
    for pod in street.pods.values():
        query = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
        contracts += pod.database.connection.execute(query).fetchone()[0]
        missed += pod.metrics.missed_gate_count
        for metric in pod.metrics.sent.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    trade[sample.labels["action"]] += int(sample.value)
    messages = sum(trade.values())
    per_contract = f"{messages / contracts:.1f}" if contracts else "-"
    return (
        str(speed),
        str(contracts),
        f"{contracts / RUN_S:.1f}",
        str(missed),
        str(messages),
        per_contract,
        f"{100 * cpu_share:.0f}",
    )


def _memory_mb(households: int) -> str:
    """Resident memory of the container's own process with that many households, once it is ready."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "market.yaml"
        manifest.write_text(MARKET.replace("HOUSEHOLDS", str(households)))
        market: GatewayPlan = plan(load([str(manifest)]))[0]
        pod = next(pod for pod in market.pods if pod.participants[0].name.startswith("home"))
        kept_signers(folder / "keys.json", subscriber_ids(market))
        config = folder / "config.json"
        config.write_text(json.dumps(runtime_config(pod, gateway_url="http://127.0.0.1:9", epoch=time.time())))
        port = 18_000 + households
        arguments = ["--config", str(config), "--keys", str(folder / "keys.json"), "--database", str(folder / "pod.db")]
        address = ["--url", f"http://127.0.0.1:{port}", "--host", "127.0.0.1", "--port", str(port)]
        command = [sys.executable, "-m", "wattmesh_agents", *arguments, *address]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/health/ready")
            status = Path(f"/proc/{process.pid}/status").read_text()
            kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            return f"{kib / 1024:.1f}"
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + RUNTIME_WAIT_S
    while time.monotonic() < until:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{url} never became ready")


if __name__ == "__main__":
    main()
