"""What holds for the parties of a world at any moment, and what holds once all is over."""

from __future__ import annotations

from collections import defaultdict

from tests.world.market import Member, World
from tests.world.parties import GRID
from wattmesh_market.energy.availability import held_wh
from wattmesh_market.energy.slots import slot_energy_wh
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.parties.household import Household
from wattmesh_market.trade.contracts import DELIVERED, OVER, TENTATIVE, Contract, ContractState, Delivery, Side
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
                assert told(mirror) == told(contract)
                for delivery in contract.deliveries:
                    assert delivery.state in OVER or _delivered_as_sold(world, contract, delivery)
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
    level_wh, carried_uwh = member.home.books.standing.initial_level_wh, 0
    for slot, reading in sorted(member.journal.readings.items()):
        one = reading.metered
        assert one.level_before_wh == level_wh
        assert 0 <= one.level_after_wh <= reading.capacity_wh
        assert one.level_after_wh - one.level_before_wh == (
            one.pv_wh - one.load_wh + one.bought_wh - one.sold_wh + one.imported_wh - one.exported_wh - one.losses_wh
        )
        assert min(one) >= 0
        assert one.carried_uwh < 1_000_000
        level_wh, carried_uwh = one.level_after_wh, one.carried_uwh
        to_neighbours_wh = -sum(
            entry.energy_wh
            for entry in member.journal.ledger
            if _is_trade(entry.kind, entry.slot, slot) and entry.energy_wh < 0 and entry.counterparty != GRID
        )
        assert one.covered_wh <= to_neighbours_wh, "nobody imports to sell to a utility"
        assert member.home.config.strategy != "rules" or not one.covered_wh, "rules sell what is stored"
        trades_wh = [entry.energy_wh for entry in member.journal.ledger if _is_trade(entry.kind, entry.slot, slot)]
        assert one.bought_wh == sum(energy_wh for energy_wh in trades_wh if energy_wh > 0)
        assert one.sold_wh == -sum(energy_wh for energy_wh in trades_wh if energy_wh < 0)
        booked = [one for kind in _SUPPLY for one in member.journal.booked(kind, slot, GRID)]
        if reading.state is ReadingState.BOOKED:
            net_wh = one.imported_wh - one.exported_wh if reading.estimated_wh is None else reading.estimated_wh
            energy_wh, amount_micro = (
                sum(entry.energy_wh for entry in booked),
                sum(entry.amount_micro for entry in booked),
            )
            assert energy_wh == net_wh
            assert amount_micro >= _unshared_micro(member, slot, net_wh), "worse than unshared"
            assert billed(member, slot) == (net_wh, amount_micro)
        else:
            assert not booked
    standing = member.books.standing
    assert (level_wh, carried_uwh) == (standing.level_wh, standing.carried_uwh)


def billed(member: Member, slot: int) -> tuple[int, int]:
    """A household's exchange with its utility as it has it in memory: net import (Wh), and what it earned by it."""
    found = [one for one in member.books.supplied.get((slot, GRID), ()) if one.kind in _SUPPLY]
    return sum(one.energy_wh for one in found), sum(one.amount_micro for one in found)


def check_promises(member: Member) -> None:
    """What a household has promised is in its battery and within its power, or sun that it expects and needs not.

    All of it is within its connection's power. Clouds may come after a promise of sun: only what is promised anew since
    the last look is what it expects now.
    """
    home, standing = member.home, member.books.standing
    promises = member.books.promises(Side.SELLER)
    assert 0 <= standing.level_wh <= home.battery.capacity_wh
    if any(promise.stored_wh for promise in promises):
        held = held_wh(home.battery, promises, standing.next_slot)
        assert held <= standing.level_wh - home.battery.min_level_wh
    for slot in {promise.slot for promise in promises}:
        of_slot = [promise for promise in promises if promise.slot == slot]
        assert min(min(promise.stored_wh, promise.sun_wh) for promise in of_slot) >= 0
        assert sum(promise.stored_wh for promise in of_slot) <= home.battery.discharge_limit_wh
        assert sum(promise.energy_wh for promise in of_slot) <= slot_energy_wh(home.config.connection_w)
        sun_wh = sum(promise.sun_wh for promise in of_slot)
        if sun_wh > member.sun_promised_wh.get(slot, 0):
            expected = home._forecast.expected(slot)
            assert sun_wh <= (max(0, expected.pv_wh - expected.load_wh) if home.config.strategy != "rules" else 0)
        member.sun_promised_wh[slot] = sun_wh
    assert not any(promise.sun_wh for promise in member.books.promises(Side.BUYER))


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
                    assert mine[6:8] == theirs[6:8]


def _unshared_micro(member: Member, slot: int, net_wh: int) -> int:
    rates = Rates(member.home.config.backstop.tariff, 0)
    if net_wh > 0:
        return -amount_micro(rates.all_in(slot), net_wh)
    return amount_micro(rates.feed_in(slot), -net_wh)


def told(contract: Contract) -> list[Delivery]:
    """The deliveries of a contract as both sides know them: only one knows what the sun gives, or what was offered."""
    return [delivery._replace(sun_wh=0, offered_micro_per_kwh=None) for delivery in contract.deliveries]


def _delivered_as_sold(world: World, contract: Contract, delivery: Delivery) -> bool:
    """In full; to a utility, a seller that plans delivers what sun and store give."""
    seller, buyer = contract.party, contract.counterparty
    if contract.side is Side.BUYER:
        seller, buyer = buyer, seller
    delivered_wh = delivery.delivered_wh or 0
    if buyer == GRID and world[seller].home.config.strategy != "rules":
        return delivered_wh <= delivery.energy_wh
    return delivered_wh == delivery.energy_wh


def _contracts(member: Member) -> list[Contract]:
    return list(member.journal.contracts.values())


def _mirror(world: World, contract: Contract) -> Contract | None:
    other = world.members[contract.counterparty].journal
    return other.contracts.get((contract.transaction_id, contract.party))


def _is_trade(kind: EntryKind, of: int, slot: int) -> bool:
    return kind is EntryKind.TRADE and of == slot
