"""Memory of the agents' container with 1 to 200 households in one runtime, and what each further one takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.resident import resident_mb
from bench.tables import Measured
from wattmesh_cli.street.keys import kept_signers
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.fields import ProtocolVersion
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan, runtime_config

HOUSEHOLDS = (1, 10, 100, 200)
GOAL_MB = 1.0
_WAIT_S = 60

MARKET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {protocols: [VERSION]}
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
  battery: {capacityKwh: 10, initialKwh: 9}
  load: {annualKwh: 3500}
  trading: {sellAbovePercent: 50, buyBelowPercent: 20, buyTargetPercent: 40}
"""


def measure() -> list[Measured]:
    """A row for each size."""
    sizes = [_runtime_mb(households) for households in HOUSEHOLDS]
    rows = []
    for number, (households, size_mb) in enumerate(zip(HOUSEHOLDS, sizes, strict=True)):
        further = "-"
        if number:
            further = f"{(size_mb - sizes[0]) / (households - HOUSEHOLDS[0]):.2f}"
        rows.append((str(households), f"{size_mb:.1f}", further, f"{GOAL_MB:g}"))
    return [Measured("memory", ["households in a runtime", "resident MB", "MB per further one", "goal MB"], rows)]


def market(households: int, version: ProtocolVersion = "v1") -> GatewayPlan:
    """A street whose households, all in one pod, have energy to sell, and a utility; in a version of Beckn."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "market.yaml"
        manifest.write_text(MARKET.replace("HOUSEHOLDS", str(households)).replace("VERSION", version), encoding="utf-8")
        return plan(load([str(manifest)]))[0]


def _runtime_mb(households: int) -> float:
    """Resident memory of the container's own process with that many households, once it is ready."""
    with agents_ready(households) as process:
        return resident_mb(process.pid)


@contextmanager
def agents_ready(households: int) -> Iterator[subprocess.Popen[bytes]]:
    """The agents' container's own process with that many households, once it is ready."""
    of = market(households)
    pod = next(pod for pod in of.pods if pod.participants[0].name.startswith("home"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept_signers(folder / "keys.json", subscriber_ids(of))
        config = folder / "config.json"
        config.write_text(runtime_config(pod, gateway_url="http://127.0.0.1:9", epoch=time.time()).model_dump_json())
        port = 18_000 + households
        arguments = ["--config", str(config), "--keys", str(folder / "keys.json"), "--database", str(folder / "pod.db")]
        with ready("wattmesh_agents", [*arguments, "--url", f"http://127.0.0.1:{port}"], port) as process:
            yield process


@contextmanager
def ready(module: str, arguments: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of wattmesh that listens on a port of this machine, once it is ready; it ends with the block."""
    command = [sys.executable, "-m", module, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health/ready")
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} never became ready")
