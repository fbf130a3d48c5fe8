"""After each day of grid time all who were booked with keep what a party has signed of its chain."""

from __future__ import annotations

import json
import random
import uuid
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.world.faults import FAULTS, Faulty
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, Street, play
from wattmesh_beckn.client import Nacked, read_answer
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import Transport
from wattmesh_cli.audit import audit
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.chain import Checkpoint
from wattmesh_common.clock import LoopClock

STREET = planned(
    MARKET.replace("06:00:00Z", "22:00:00Z")
    + utility()
    + households("roof", "battery: {capacityKwh: 100, initialKwh: 95, powerKw: 2}, strategy: rules")
    + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2)
)
ROOF, GRID = "roof-0.default", "utility.default"
DAY_S = 86_400
MIDNIGHT_S = 120.0
"""Wall seconds from the start."""


def kept(street: Street) -> Mapping[tuple[str, int], dict[str, str]]:
    """What each keeps of whom, for which day: the head by keeper."""
    found: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for book in street.books:
        for one in book.checkpoints:
            found[one.signer, one.until][one.party] = json.loads(one.record)["head"]
    return found


def check_given(street: Street) -> None:
    """Each party has signed one head after the only midnight, and all it had booked with then keep that one.

    Who had booked nothing has signed nothing.
    """
    [midnight] = {until for _, until in kept(street)}
    assert midnight % DAY_S == 0
    signers = {signer for signer, _ in kept(street)}
    assert len(signers) > 2
    for book in street.books:
        [party] = book.parties
        if party.party not in signers:
            assert not any(link.slot is None or link.slot < midnight - DAY_S // 24 for link in book.chain)
            continue
        heads = kept(street)[party.party, midnight]
        number = json.loads(next(one for one in book.checkpoints if one.signer == party.party).record)["number"]
        chained = [one for one in book.chain if one.number <= number]
        assert {*heads} == {party.party, GRID, *(one.counterparty for one in chained)}
        assert {*heads.values()} == {chained[-1].head}


def test_all_who_were_booked_with_keep_what_was_signed_at_midnight() -> None:
    street = play(STREET, 3.0)
    street.check_sound()
    check_given(street)
    result = audit(street.books)
    assert result.entries_chained == result.ledger_entries_checked > 0
    assert result.checkpoints_checked == sum(len(book.checkpoints) for book in street.books)


@pytest.mark.parametrize("kind", FAULTS)
def test_lost_late_and_doubled_ones_are_kept_once(kind: str) -> None:
    made: list[Faulty] = []

    def wrap(inner: Transport, clock: LoopClock) -> Transport:
        made.append(Faulty(inner, clock, random.Random(3), [kind], EPOCH + MIDNIGHT_S + 15, 0.4))
        return made[0]

    street = play(STREET, 3.0, wrap=wrap)
    assert made[0].done > 50
    street.check_sound()
    check_given(street)


@pytest.mark.parametrize("name", ["roof-0", "utility"])
def test_who_dies_after_signing_gives_it_after_its_restart(tmp_path: Path, name: str) -> None:
    """Its row is on disk and nothing was sent: it is killed in the step of the loop that has written it."""
    hands = Hands(STREET, 7, tmp_path)
    left = 0

    async def watch(run: StreetRun) -> None:
        nonlocal left
        hands.hold(run)
        await hands.clock.sleep(EPOCH + MIDNIGHT_S - hands.clock.wall())
        for _ in range(1000):  # steps of the loop, which take no virtual time
            if left := len(run.pods[name]._driver.ledgers.checkpoints_due):
                break
            await hands.clock.sleep(0.0)
        await hands.kill(name)
        hands.revive(name)
        assert len(run.pods[name]._driver.ledgers.checkpoints_due) == left

    street = play(STREET, 3.0, seed=7, wrap=hands, watch=watch)
    assert left > 1
    street.check_sound()
    check_given(street)


@pytest.mark.parametrize("name", ["flat-0", "utility"])
def test_who_is_away_at_midnight_gives_and_gets_it_later(tmp_path: Path, name: str) -> None:
    hands = Hands(STREET, 7, tmp_path)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(MIDNIGHT_S - 20.0)
        await hands.kill(name)
        await hands.clock.sleep(50.0)
        hands.revive(name)

    street = play(STREET, 4.0, seed=7, wrap=hands, watch=watch)
    street.check_sound()
    check_given(street)


def test_pods_killed_at_any_moment_leave_every_chain_whole(tmp_path: Path) -> None:
    hands, rng, kills = Hands(STREET, 9, tmp_path), random.Random(9), 0

    async def watch(run: StreetRun) -> None:
        nonlocal kills
        hands.hold(run)
        while hands.clock.wall() < EPOCH + MIDNIGHT_S + 20:
            await hands.clock.sleep(rng.uniform(0.0, 3.0))
            for _ in range(rng.randrange(200)):
                await hands.clock.sleep(0.0)
            name = rng.choice([*run.pods])
            await hands.kill(name)
            hands.revive(name)
            kills += 1

    street = play(STREET, 4.0, seed=9, wrap=hands, watch=watch)
    assert kills > 50
    street.check_sound()
    check_given(street)


# --- what is not kept ---

MIDNIGHT = int(STREET.resource.spec.clock.start.timestamp()) // DAY_S * DAY_S + DAY_S


@pytest.mark.parametrize(
    ("signer", "to", "changes", "status", "text"),
    [
        ("flat-1.default", "flat-0", {}, 401, "signed by 'flat-1.default' but party is 'roof-0.default'"),
        (ROOF, "flat-0", {"head": "00"}, 400, "head: "),
        (ROOF, "flat-0", {"until": MIDNIGHT - 900}, 400, "until is not the end of a day"),
        (ROOF, "flat-0", {"until": MIDNIGHT - 30 * DAY_S}, 400, "or one of long ago"),
        (ROOF, "flat-0", {"until": MIDNIGHT + DAY_S}, 503, "that day has not ended here"),
        (ROOF, "flat-0", {}, 200, "you have signed another head of that day"),
        ("flat-1.default", "flat-0", {"party": "flat-1.default"}, 200, "nothing is booked with you here"),
    ],
)
def test_what_is_not_the_senders_word_or_not_its_first_is_not_kept(
    tmp_path: Path, signer: str, to: str, changes: dict[str, object], status: int, text: str
) -> None:
    hands = Hands(STREET, 7, tmp_path)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(MIDNIGHT_S + 20.0)
        said = Checkpoint(party=ROOF, account=str(uuid.UUID(int=1)), until=MIDNIGHT, number=1, head="0" * 64)
        body = json.dumps(said.model_dump() | changes).encode()
        now = int(hands.clock.wall())
        signature = hands.signers[signer].sign(body, created=now, expires=now + 30)
        headers = {"content-type": "application/json", AUTHORIZATION: signature}
        reply = await hands.transport.post(f"http://{to}/{to}/checkpoint", body, headers, timeout_s=5.0)
        answer = read_answer(reply)
        assert isinstance(answer, Nacked)
        assert (reply.status, text in answer.message) == (status, True), answer

    street = play(STREET, 2.5, seed=7, wrap=hands, watch=watch)
    street.check_sound()
    check_given(street)
