"""Grid time that starts again behind the books: all wait until it has caught up, say so, and trade on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.street.test_faults import STREET
from tests.world.manifests import planned
from tests.world.street import SLOT_S, Hands, Street, play
from wattmesh_agents.live import live_page
from wattmesh_agents.status import pod_status
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import utc
from wattmesh_common.pod_pages import PartyStatus

PLAN = planned(STREET)
SLOT_WALL_S = 15.0
"""At speed 60."""
BEHIND_S = 2.5 * SLOT_WALL_S
STOPPED_S = 3 * SLOT_WALL_S + 2
"""In the fourth slot, while it is traded."""
CAUGHT_UP_S = 3 * SLOT_WALL_S + BEHIND_S
HOUSEHOLDS = ("roof-0", "roof-1", "store-0", "low-0", "flat-0", "flat-1")


class Answers:
    """A transport that keeps the text of the answers 503."""

    def __init__(self, inner: Transport, refused: list[str]) -> None:
        self._inner = inner
        self._refused = refused

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        reply = await self._inner.post(url, body, headers, timeout_s=timeout_s)
        if reply.status == 503:
            self._refused.append(json.loads(reply.body)["error"]["message"])
        return reply


def statuses(run: StreetRun) -> dict[str, PartyStatus]:
    return {party.name: party for pod in run.pods.values() for party in pod_status(pod)}


def set_back(folder: Path, *stays: str) -> tuple[Street, list[dict[str, PartyStatus]], list[str]]:
    """A street of which all but `stays` go on with grid time behind; how all stand then, later, and once caught up."""
    refused: list[str] = []
    hands = Hands(PLAN, 31, folder, wrap=lambda inner, _: Answers(inner, refused))
    seen: list[dict[str, PartyStatus]] = []

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(EPOCH + STOPPED_S - hands.clock.wall())
        for name in [name for name in run.pods if name not in stays]:
            await hands.kill(name)
            hands.revive(name, behind_s=BEHIND_S)
        seen.append(statuses(run))
        for pod in run.pods.values():
            live_page(pod, after=0, slot=0)
        await hands.clock.sleep(EPOCH + CAUGHT_UP_S - hands.clock.wall() - 0.1)
        seen.append(statuses(run))
        await hands.clock.sleep(SLOT_WALL_S + 0.2)
        seen.append(statuses(run))

    return play(PLAN, 2.0, seed=31, wrap=hands, watch=watch), seen, refused


def check_contiguous(street: Street) -> None:
    for household in HOUSEHOLDS:
        slots = [row.slot for row in street.readings(household)]
        assert slots == [*range(slots[0], slots[-1] + SLOT_S, SLOT_S)], household


def test_parties_whose_books_are_ahead_wait_and_trade_on_when_time_has_caught_up(tmp_path: Path) -> None:
    street, (then, later, after), _ = set_back(tmp_path)
    start = datetime(2026, 6, 21, 6, tzinfo=UTC).timestamp()
    for stand in (then, later):
        assert {party.waits_until for party in stand.values()} == {utc(EPOCH + CAUGHT_UP_S)}
        assert {party.metered_until for party in stand.values()} == {utc(start + 3 * SLOT_S)}
    assert {party.waits_until for party in after.values()} == {None}
    assert {party.metered_until for party in after.values()} == {utc(start + 4 * SLOT_S)}
    street.check_sound()
    check_contiguous(street)
    bought = {row.slot for row in street.contracts("buyer") if row.state == "SETTLED"}
    assert max(bought) >= start + 4 * SLOT_S


def test_messages_to_one_that_waits_come_again_later(tmp_path: Path) -> None:
    """Two households trade on as before, with all others behind."""
    street, (then, *_), refused = set_back(tmp_path, "low-0", "roof-0")
    assert {name for name, party in then.items() if party.waits_until is None} == {"low-0", "roof-0"}
    assert refused
    assert all(text.startswith("its books reach 2026-06-21T06:45:00.000Z of grid time, which is ") for text in refused)
    street.check_sound()
    check_contiguous(street)
