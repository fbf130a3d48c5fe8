"""What comes from the network and ends in a log line or a metric cannot forge, colour, reorder or flood it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tests.gateway.support import GATEWAY, REGISTRAR, NoPages, World
from tests.security.http_support import HEAD, run, served
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Street, play
from tests.world.subscribers import gateway_config
from tests.world.tokens import TOKEN
from wattmesh_agents.receiving import actions_of
from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import LoopClock, SystemClock
from wattmesh_common.fields import V1_ONLY
from wattmesh_common.logs import LONGEST_MESSAGE, LONGEST_TRACE, JsonFormatter, TextFormatter
from wattmesh_gateway.app import create_app
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry

FORGED = 'x\n06:15 rooftop-9 sold 99 kWh\r\n{"level": "info"}\x1b[2J\x1b]0;title\x07\u202e\u2066\u2028\u200b\x00\x9b31m'
FORMATTERS = (TextFormatter(), JsonFormatter())
LONGEST_ESCAPE = len(r"\U000e0001")
OUTCOMES = {"acked", "nacked", "undelivered"}
STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "battery: {capacityKwh: 10, initialKwh: 1}, load: {annualKwh: 6000}, strategy: rules")
)


def check_line(record: logging.LogRecord) -> None:
    for formatter in FORMATTERS:
        line = formatter.format(record)
        assert line.isprintable(), "no line end, escape sequence, or mark that changes the direction of text"
        assert len(line) < LONGEST_ESCAPE * (LONGEST_MESSAGE + LONGEST_TRACE)
    assert isinstance(json.loads(JsonFormatter().format(record)), dict)


class Liar:
    """A network in which one kind of call is declined with a text of the receiver's choice."""

    def __init__(self, inner: Transport, action: str, reason: str) -> None:
        self._inner = inner
        self._action = action
        self._reason = reason

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if url.endswith(f"/{self._action}"):
            return nack(declined(ErrorCode.BUSINESS_ERROR, self._reason))
        return await self._inner.post(url, body, headers, timeout_s=timeout_s)


def lied_to(action: str, reason: str) -> Street:
    def wrap(inner: Transport, _clock: LoopClock) -> Transport:
        return Liar(inner, action, reason)

    return play(STREET, 1, wrap=wrap)


@pytest.mark.parametrize("action", ["search", "select", "init", "confirm"])
@pytest.mark.parametrize("reason", [FORGED, FORGED * 2000], ids=["forged", "long"])
def test_a_reason_from_the_network_stays_one_line_of_the_log(action: str, reason: str) -> None:
    log = lied_to(action, reason).log
    told = [record for record in log if "rooftop-9" in record.getMessage()]
    assert told, "the reason is told"
    for record in log:
        check_line(record)


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    record = logging.LogRecord(
        "wattmesh_agents", logging.INFO, "f.py", 1, "refused: %s", ("x" * 100_000 + "end",), None
    )
    record.household = "h" * 100_000
    for formatter in FORMATTERS:
        line = formatter.format(record)
        assert "refused: xxx" in line
        assert " … 98012 characters … " in line
        assert "xxxend" in line
        assert len(line) < LONGEST_MESSAGE + 400
    record.args = ("short",)
    assert TextFormatter().format(record).endswith("refused: short")


def test_a_fault_over_hostile_data_is_one_line_too() -> None:
    try:
        raise ValueError(FORGED * 20_000)
    except ValueError as error:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "f.py", 1, "Exception\n", (), None)
        record.exc_info = (type(error), error, error.__traceback__)
    check_line(record)
    assert "Traceback" in TextFormatter().format(record)


def series(metrics: bytes) -> set[str]:
    """Names with labels, without values."""
    return {line.rpartition(" ")[0] for line in metrics.decode().splitlines() if not line.startswith("#")}


def test_no_call_makes_a_new_series_in_the_gateways_metrics(tmp_path: Path) -> None:
    paths = (b"/search", b"/lookup", b"/subscribe", b"/%22%7D%0Aforged%201", *(b"/path-%d" % n for n in range(5)))

    async def story() -> None:
        world, now = World(), SystemClock().wall()
        bodies = [world.search_body(f"buyer-{number}", now=now) for number in range(3)]
        bodies += [json.dumps({"context": {"bap_id": f"{FORGED}{number}"}}).encode() for number in range(5)]
        database = tmp_path / "registry.db"
        config = gateway_config(GATEWAY.subscriber_id, REGISTRAR, "http://gateway.street", database)
        registry = Registry(database)
        gateway = Gateway(config, GATEWAY, registry, MemoryTransport(), SystemClock())
        async with served(create_app(gateway, NoPages(), TOKEN)) as street:
            before = series(await gateway.metrics_text())
            for path in paths:
                for body in bodies:
                    head = HEAD.replace(b"/call", path)
                    answer = await street.ask(head + b"content-length: %d\r\n\r\n" % len(body) + body)
                    assert answer.status in (400, 401, 404)
            assert series(await gateway.metrics_text()) == before
        registry.close()

    run(story)


def test_all_labels_of_a_pods_metrics_come_from_closed_sets() -> None:
    seen: dict[str, set[str]] = {}

    async def watch(street: StreetRun) -> None:
        for pod in street.pods.values():
            for name in (*pod.parties, FORGED, "nobody"):
                for action in (FORGED, "select", "on_select", "drain", 'x"} 1'):
                    assert (await pod.post(f"/{name}/{action}", b"{}", {})).status >= 400
        await street.until_end()
        for pod in street.pods.values():
            generate_latest(pod.metrics.registry)
            for family in pod.metrics.registry.collect():
                for sample in family.samples:
                    for label, value in sample.labels.items():
                        seen.setdefault(label, set()).add(value)

    play(STREET, 1, watch=watch)
    assert seen["action"] <= actions_of(V1_ONLY)
    assert seen["answer"] <= {"ack", "nack"}
    assert seen["outcome"] <= OUTCOMES
    assert set(seen) <= {"action", "answer", "outcome", "household"}
    assert seen.get("household", set()) <= {"roof-0", "flat-0", "utility"}
