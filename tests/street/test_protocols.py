"""The same street over each version of Beckn, over both, and where members speak different ones."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from tests.world.manifests import households, market, planned, utility
from tests.world.street import Street, logged, play
from wattmesh_agents.store.evidence import kept
from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.evidence import check
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_cli.audit import audit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_common.clock import LoopClock
from wattmesh_common.fields import Protocols
from wattmesh_market.trade.contracts import ContractState
from wattmesh_operator.plan import GatewayPlan

MEMBERS = (
    utility(fees=", gridFee: 0.07, localGridFee: 0.02", more=", sharing: {key: proRata}")
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, pv: {peakKw: 8}, load: {annualKwh: 3000}")
    + households("shed", "battery: {capacityKwh: 8, initialKwh: 8}, trading: {sellAbovePercent: 55}, strategy: rules")
    + households("low", "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 4}, strategy: rules")
    + households("flat", "load: {annualKwh: 6000}", replicas=2)
)
HOURS = 5.0
BOTH: Protocols = ("v1", "v2")
OF_MIXED: Mapping[str, Protocols] = {"shed": ("v1",), "low": ("v2",), "flat-0": ("v1",), "roof": BOTH, "flat-1": BOTH}


class Wires:
    """A transport that counts what was said in which version, and what of it names the request that it answers.

    It keeps what was found unsound. Calls to paths that end with one of `failing` are refused.
    """

    def __init__(self, *failing: str) -> None:
        self._failing = failing
        self.said = Counter[tuple[str, str]]()
        self.answering = Counter[str]()
        self.refused: list[str] = []

    def __call__(self, wires: Transport, clock: LoopClock) -> Transport:  # noqa: ARG002
        self._wires = wires
        return self

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if url.endswith(self._failing):
            return nack(declined(ErrorCode.BUSINESS_ERROR, "not today"))
        reply = await self._wires.post(url, body, headers, timeout_s=timeout_s)
        context = json.loads(body).get("context")
        if context is not None:
            self.said[context["version"], context["action"]] += 1
            self.answering[context["action"]] += "requestDigest" in context
            if reply.status != 200:
                self.refused.append(f"{url}: {reply.body.decode()}")
        return reply

    def of(self, version: str) -> set[str]:
        """What was said in a version."""
        return {action for spoken, action in self.said if spoken == version}


def street(protocols: Protocols) -> GatewayPlan:
    return planned(market(f"protocols: [{', '.join(protocols)}]") + MEMBERS)


def mixed() -> GatewayPlan:
    """A network of both versions, some of whose members speak one of them only."""
    plan = street(BOTH)
    pods = []
    for pod in plan.pods:
        spoken = next((of for name, of in OF_MIXED.items() if pod.name.startswith(name)), BOTH)
        spec = pod.gateway.spec.model_copy(update={"protocols": spoken})
        members = tuple(replace(one, protocols=spoken) for one in pod.participants)
        pods.append(replace(pod, gateway=pod.gateway.model_copy(update={"spec": spec}), participants=members))
    return replace(plan, pods=tuple(pods))


@cache
def played(name: str, *failing: str) -> tuple[Street, Wires]:
    wires = Wires(*failing)
    plans = {"v1": street(("v1",)), "v2": street(("v2",)), "both": street(BOTH), "mixed": mixed()}
    return play(plans[name], HOURS, seed=5, wrap=wires), wires


def contracts(name: str, *failing: str) -> list[tuple[str, str, int, int, int, str]]:
    rows = played(name, *failing)[0].contracts("buyer")
    return sorted((one.party, one.counterparty, one.slot, one.energy_wh, one.amount_micro, one.state) for one in rows)


@pytest.mark.parametrize("name", ["v1", "v2", "both", "mixed"])
def test_its_books_are_sound_whatever_is_spoken(name: str) -> None:
    left, wires = played(name)
    left.check_sound()
    left.check_settled()
    assert wires.refused == []


def test_both_sides_can_prove_a_contract_that_was_made_in_v2() -> None:
    plan = street(("v2",))
    run = simulate(lambda: run_in_memory(plan, plan.resource.spec.clock.start + timedelta(hours=2), seed=5))
    sides = [side for pod in run.pods.values() for side in kept(pod.database.connection, "", "EUR")]
    run.close()
    settled = [side for side in sides if all(one.state is ContractState.SETTLED for one in side.deliveries)]
    assert len(settled) > 5
    proofs = [check(side, sides) for side in settled]
    assert [proof.problems for proof in proofs if not proof.sound] == []
    assert all(proof.sound for proof in proofs)


@pytest.mark.parametrize("name", ["v2", "both"])
def test_the_same_is_traded(name: str) -> None:
    assert len(contracts("v1")) > 20
    assert contracts(name) == contracts("v1")


def test_a_network_of_v2_says_nothing_in_v1() -> None:
    _, wires = played("v2")
    assert wires.of("1.1.0") == set()
    assert wires.of("2.0.0") >= {"catalog/publish", "discover", "on_discover", "init", "on_status", "update"}


def test_what_is_published_is_taken_without_asking_for_a_quote() -> None:
    assert not {"select", "on_select"} & played("v2")[1].of("2.0.0")
    assert {"select", "on_select"} <= played("v1")[1].of("1.1.0")


def test_each_callback_to_a_request_says_which_one_it_answers() -> None:
    _, wires = played("v2")
    for action in ("on_discover", "on_init", "on_confirm"):
        assert wires.answering[action] == wires.said["2.0.0", action] > 0
    assert wires.answering["on_status"] == 0  # told unasked


def test_who_speaks_both_trades_in_the_newer_and_asks_in_both() -> None:
    _, wires = played("both")
    assert wires.of("1.1.0") == {"search"}
    assert wires.said["1.1.0", "search"] == wires.said["2.0.0", "discover"]  # the gateway asks nobody else


def test_where_a_search_in_one_version_fails_the_offers_in_the_other_count() -> None:
    assert contracts("both", "/search") == contracts("v1")
    bought = {(one[0].partition(".")[0], one[1].partition(".")[0]) for one in contracts("mixed", "/discover")}
    assert {seller for buyer, seller in bought if buyer == "flat-1"} == {"shed-0"}  # who sells in v1 alone


def test_where_both_fail_nothing_is_bought() -> None:
    assert contracts("both", "/search", "/discover") == []


def test_members_that_speak_one_version_only_trade_with_whom_they_can() -> None:
    left, wires = played("mixed")
    pairs = {(one.party.partition(".")[0], one.counterparty.partition(".")[0]) for one in left.contracts("buyer")}
    assert {buyer for buyer, _ in pairs} == {"low-0", "flat-0", "flat-1"}
    assert ("low-0", "shed-0") not in pairs  # v2 only, v1 only
    assert {seller for buyer, seller in pairs if buyer.startswith("flat")} >= {"roof-0", "shed-0"}
    assert min(wires.said["1.1.0", "confirm"], wires.said["2.0.0", "confirm"]) > 0


def test_it_trades_over_http_as_well(tmp_path: Path) -> None:
    async def trade() -> int:
        async with running_street(street(("v2",)), tmp_path, speed=300, last_for=3 * 900) as running:
            await running.until_end()
            await running.finish(20.0)
            return sum(pod.metrics.fault_count for pod in running.pods.values())

    with locked(tmp_path), logged() as log:
        faults = asyncio.run(trade())
    result = audit(read_books(tmp_path))
    assert (result.findings, faults, [one.getMessage() for one in log if one.exc_info]) == ((), 0, [])
    assert result.deliveries_checked > 0
