"""What a contract takes in posts, over each version of Beckn: the street of `examples/street.yaml`, a day in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from bench.tables import Measured
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_common.clock import LoopClock
from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources.parsing import parse_resource

STREET = Path(__file__).parents[1] / "examples" / "street.yaml"
HOURS = 24
FINDING = ("search", "on_search", "discover", "on_discover", "publish", "on_publish")
READING = ("update", "on_update")
"""Readings and their prices, and payments and their receipts."""
BESIDE = ("lookup", "subscribe", "checkpoint")
_BOUGHT = (
    "SELECT count(DISTINCT transaction_id || counterparty), count(*), coalesce(sum(delivered_wh), 0) FROM contracts "
    "WHERE side = 'buyer' AND state = 'SETTLED'"
)


def measure() -> Iterator[Measured]:
    """A table with a row for each version."""
    columns = (
        *("version", "contracts", "deliveries"),
        *("posts per contract", "to find offers", "to trade", "updates", "posts per delivery", "posts per kWh"),
    )
    yield Measured("messages", columns, [_row(version) for version in ("v1", "v2")])


class _Counting:
    """A transport that counts posts by their action."""

    def __init__(self, wires: Transport, seen: Counter[str]) -> None:
        self._wires, self._seen = wires, seen

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        self._seen[url.rpartition("/")[2]] += 1
        return await self._wires.post(url, body, headers, timeout_s=timeout_s)


def _street(version: str) -> GatewayPlan:
    """The street, whose network speaks a version."""
    text = STREET.read_text(encoding="utf-8").replace("  clock:", f"  protocols: [{version}]\n  clock:", 1)
    documents = read_documents(STREET.name, text)
    [street] = plan([parse_resource(one.value, origin=one.origin, namespace="default") for one in documents])
    return street


def _row(version: str) -> list[str]:
    street = _street(version)
    seen = Counter[str]()

    def wrap(wires: Transport, clock: LoopClock) -> Transport:  # noqa: ARG001
        return _Counting(wires, seen)

    end = street.resource.spec.clock.start + timedelta(hours=HOURS)
    run = simulate(lambda: run_in_memory(street, end, wrap=wrap))
    bought = [pod.database.connection.execute(_BOUGHT).fetchone() for pod in run.pods.values()]
    run.close()
    contracts, deliveries, bought_wh = (sum(column) for column in zip(*bought, strict=True))
    posts = Counter({action: number for action, number in seen.items() if action not in BESIDE})
    found, updated = (sum(posts[action] for action in kind) for kind in (FINDING, READING))
    parts = (posts.total(), found, posts.total() - found - updated, updated)
    by_what = (*(part / contracts for part in parts), posts.total() / deliveries, posts.total() * 1000 / bought_wh)
    return [version, str(contracts), str(deliveries), *(f"{each:.1f}" for each in by_what)]
