"""What holds for the parties of a world at any moment, and what holds once all is over."""

from __future__ import annotations

from collections import defaultdict

from tests.world.market import Member, World
from tests.world.parties import GRID
from wattmesh_market.energy.availability import Promise, held_wh
from wattmesh_market.energy.tariff import all_in_micro_per_kwh
from wattmesh_market.parties.household import Household
from wattmesh_market.trade.contracts import DELIVERED, OVER, TENTATIVE, Contract, ContractState, Side
from wattmesh_market.trade.ledger import EntryKind, ReadingState, ReportState
from wattmesh_market.units import amount_micro

_SUPPLY = (EntryKind.BACKSTOP, EntryKind.SHARED)

# From docs/correctness.md: where the seller may be when the buyer is somewhere.
_SELLER_MAY_BE = {
    "QUOTED": {"QUOTED", "AGREED", "EXPIRED"},
    "IN_DOUBT": {"AGREED", "CONFIRMED", "DELIVERED", "SETTLED", "EXPIRED", "CANCELLED"},
    "CONFIRMED": {"CONFIRMED", "DELIVERED", "SETTLED", "CANCELLED"},
    "DELIVERED": {"DELIVERED", "SETTLED"},
    "SETTLED": {"SETTLED"},
    "EXPIRED": {"QUOTED", "AGREED", "EXPIRED", "CANCELLED"},
    "CANCELLED": {"CANCELLED", "EXPIRED"},
}


def check_now(world: World) -> None:
    """At any moment: meters and promises are right, and both sides of each contract are as far as they may be."""
    for member in world.members.values():
        if isinstance(member.party, Household):
            check_meter(member)
            check_promises(member)
        check_journal(member)
    check_sides(world)


def check_end(world: World) -> None:
    """In the end nothing is open or under way, both sides say the same, and all that is booked sums to zero."""
    check_now(world)
    assert world.under_way == []
    for name, member in world.members.items():
        assert member.party.settled(), name
        assert not member.books.unbooked
        assert {reading.state for reading in member.journal.readings.values()} <= {ReadingState.BOOKED}
        for contract in _contracts(member):
            assert contract.state in (ContractState.SETTLED, *OVER), contract
            mirror = _mirror(world, contract)
            if contract.state is ContractState.SETTLED:
                assert mirror is not None
                assert mirror.deliveries == contract.deliveries
                for delivery in contract.deliveries:
                    assert delivery.state in OVER or delivery.delivered_wh == delivery.energy_wh
    check_sums(world)
    check_closings(world)


def check_closings(world: World) -> None:
    """A slot is closed once, and what is shared in it sums to zero; nothing waits in the end."""
    journal = world.members[GRID].journal
    closed = [closing.slot for closing in journal.closings]
    assert len(set(closed)) == len(closed)
    assert ReportState.WAITING not in {reported.state for reported in journal.reported.values()}
    shared: dict[int, int] = defaultdict(int)
    for entry in journal.ledger:
        if entry.kind is EntryKind.SHARED:
            shared[entry.slot] += entry.energy_wh
    assert set(shared) <= set(closed)
    assert not any(shared.values())


def check_sums(world: World) -> None:
    """All ledgers together sum to exactly zero; so do those of any two parties about each other."""
    between: dict[frozenset[str], list[tuple[int, int]]] = defaultdict(list)
    for name, member in world.members.items():
        for entry in member.journal.ledger:
            pair = frozenset((name, entry.counterparty))
            between[pair].append((entry.energy_wh, entry.amount_micro))
    for pair, entries in between.items():
        sums = (sum(energy_wh for energy_wh, _ in entries), sum(amount for _, amount in entries))
        assert sums == (0, 0), sorted(pair)


def check_meter(member: Member) -> None:
    """Each reading is metered as docs/market.md says, follows the one before, and is booked as the ledger says."""
    level_wh = member.home.books.standing.initial_level_wh
    for slot, reading in sorted(member.journal.readings.items()):
        one = reading.metered
        assert one.level_before_wh == level_wh
        assert 0 <= one.level_after_wh <= reading.capacity_wh
        assert one.level_after_wh - one.level_before_wh == (
            one.pv_wh - one.load_wh + one.bought_wh - one.sold_wh + one.imported_wh - one.exported_wh - one.losses_wh
        )
        assert min(one) >= 0
        level_wh = one.level_after_wh
        trades_wh = [entry.energy_wh for entry in member.journal.ledger if _is_trade(entry.kind, entry.slot, slot)]
        assert one.bought_wh == sum(energy_wh for energy_wh in trades_wh if energy_wh > 0)
        assert one.sold_wh == -sum(energy_wh for energy_wh in trades_wh if energy_wh < 0)
        booked = [one for kind in _SUPPLY for one in member.journal.booked(kind, slot, GRID)]
        if reading.state is ReadingState.BOOKED:
            net_wh = one.imported_wh - one.exported_wh
            energy_wh, amount_micro = (
                sum(entry.energy_wh for entry in booked),
                sum(entry.amount_micro for entry in booked),
            )
            assert energy_wh == net_wh
            assert amount_micro >= _unshared_micro(member, slot, net_wh), "worse than unshared"
            assert billed(member, slot) == (net_wh, amount_micro)
        else:
            assert not booked
    assert level_wh == member.books.standing.level_wh


def billed(member: Member, slot: int) -> tuple[int, int]:
    """A household's exchange with its utility as it has it in memory: net import (Wh), and what it earned by it."""
    found = [one for one in member.books.supplied.get((slot, GRID), ()) if one.kind in _SUPPLY]
    return sum(one.energy_wh for one in found), sum(one.amount_micro for one in found)


def check_promises(member: Member) -> None:
    """What a household has promised is in its battery and within its power."""
    home, standing = member.home, member.books.standing
    promises = [Promise(slot, energy_wh) for slot, energy_wh in member.books.promises(Side.SELLER)]
    assert 0 <= standing.level_wh <= home.battery.capacity_wh
    if promises:
        held = held_wh(home.battery, promises, standing.next_slot)
        assert held <= standing.level_wh - home.battery.min_level_wh
    for slot in {promise.slot for promise in promises}:
        of_slot_wh = sum(promise.energy_wh for promise in promises if promise.slot == slot)
        assert of_slot_wh <= home.battery.discharge_limit_wh


def check_journal(member: Member) -> None:
    """The books are what the committed rows make of them."""
    books, journal = member.books, member.journal
    assert books.contracts.items() <= journal.contracts.items()
    assert books.readings.items() <= journal.readings.items()
    assert books.roles.items() <= journal.roles.items()
    assert books.standing == journal.standing
    assert books.totals.balance_micro == sum(entry.amount_micro for entry in journal.ledger)


def check_sides(world: World) -> None:
    """Terms are the same on both sides, and so are states, as far as letters under way allow."""
    for member in world.members.values():
        for contract in _contracts(member):
            mirror = _mirror(world, contract)
            if contract.side is Side.SELLER:
                if mirror is None:
                    assert contract.state in (*TENTATIVE, *OVER), contract
                continue
            assert mirror is not None, "what a buyer has, its seller quoted"
            terms = [one[:5] for one in contract.deliveries]
            assert terms == [one[:5] for one in mirror.deliveries]
            for mine, theirs in zip(contract.deliveries, mirror.deliveries, strict=True):
                state = "IN_DOUBT" if contract.in_doubt and mine.state in TENTATIVE else mine.state
                assert theirs.state in _SELLER_MAY_BE[state], (state, theirs.state)
                if mine.state in DELIVERED:
                    assert mine[6:] == theirs[6:]


def _unshared_micro(member: Member, slot: int, net_wh: int) -> int:
    tariff = member.home.config.backstop.tariff
    if net_wh > 0:
        return -amount_micro(all_in_micro_per_kwh(tariff, slot, 0), net_wh)
    return amount_micro(tariff.feed_in_micro_per_kwh, -net_wh)


def _contracts(member: Member) -> list[Contract]:
    return list(member.journal.contracts.values())


def _mirror(world: World, contract: Contract) -> Contract | None:
    other = world.members[contract.counterparty].journal
    return other.contracts.get((contract.transaction_id, contract.party))


def _is_trade(kind: EntryKind, of: int, slot: int) -> bool:
    return kind is EntryKind.TRADE and of == slot
