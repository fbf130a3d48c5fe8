"""Contracts, purchases and offers come back as they were written, each party's apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_agents.store.contracts import ContractTable, Purchase, Selection
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.trade.contracts import PROMISED, Contract, ContractState, Side
from wattmesh_market.trade.offers import Offer

ME, OTHER = "roof-0.default", "flat-0.default"
CONTRACT = Contract(
    party=ME,
    side=Side.SELLER,
    transaction_id="t-1",
    counterparty=OTHER,
    item_id="energy-900",
    slot=900,
    energy_wh=500,
    amount_micro=100_000,
    state=ContractState.QUOTED,
    expires_ms=30_000,
    created_ms=1,
    updated_ms=2,
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    database = Database.open(IN_MEMORY, salt="s")
    yield database.connection
    database.close()


@pytest.fixture
def table(connection: sqlite3.Connection) -> ContractTable:
    return ContractTable(connection, ME)


# --- contracts ---

texts = st.text(min_size=1, max_size=20)
numbers = st.integers(0, 2**62)
contracts = st.integers(1, 10**9).flatmap(
    lambda energy_wh: numbers.flatmap(
        lambda amount_micro: st.builds(
            Contract,
            party=st.just(ME),
            side=st.sampled_from(Side),
            transaction_id=texts,
            counterparty=texts,
            item_id=texts,
            slot=st.integers(-(2**40), 2**40),
            energy_wh=st.just(energy_wh),
            amount_micro=st.just(amount_micro),
            state=st.sampled_from(ContractState),
            expires_ms=numbers,
            created_ms=numbers,
            updated_ms=numbers,
            order_id=st.none() | texts,
            delivered_wh=st.none() | st.integers(0, energy_wh),
            settled_micro=st.none() | st.integers(0, amount_micro),
            in_doubt=st.booleans(),
            reason=st.none() | st.text(max_size=20),
        )
    )
)


@given(contracts)
@settings(max_examples=50)
def test_a_contract_comes_back_as_it_was(contract: Contract) -> None:
    database = Database.open(IN_MEMORY, salt="s")
    table = ContractTable(database.connection, ME)
    table.put(contract)
    back = table.get(contract.transaction_id, contract.counterparty)
    assert back == contract
    assert (type(back.side), type(back.state), type(back.in_doubt)) == (Side, ContractState, bool)
    database.close()


def test_putting_it_again_replaces_it(table: ContractTable) -> None:
    table.put(CONTRACT)
    agreed = CONTRACT.agreed("o-1", 5)
    table.put(agreed)
    assert table.of_transaction("t-1") == [agreed]


def test_contracts_are_found_by_order_slot_and_state(table: ContractTable) -> None:
    later = replace(CONTRACT, transaction_id="t-2", slot=1800, state=ContractState.CONFIRMED, order_id="o-2")
    bought = replace(CONTRACT, transaction_id="t-3", side=Side.BUYER, state=ContractState.SETTLED, order_id="o-3")
    over = replace(CONTRACT, transaction_id="t-0", state=ContractState.EXPIRED)
    for contract in (later, bought, over, CONTRACT):
        table.put(contract)
    assert table.by_order("o-2", OTHER) == later
    assert table.by_order("o-2", "somebody-else") is None
    assert table.of_slot(Side.SELLER, 900) == [over, CONTRACT]
    assert table.of_slot(Side.BUYER, 900) == [bought]
    assert table.promised(Side.SELLER) == table.in_states(Side.SELLER, PROMISED) == [CONTRACT, later]
    assert table.promised(Side.BUYER) == []
    assert table.get("t-1", "somebody-else") is None


def test_parties_of_one_database_do_not_see_each_other(connection: sqlite3.Connection, table: ContractTable) -> None:
    table.put(CONTRACT)
    theirs = ContractTable(connection, OTHER)
    mirrored = replace(CONTRACT, party=OTHER, counterparty=ME, side=Side.BUYER)
    theirs.put(mirrored)
    assert table.of_transaction("t-1") == [CONTRACT]
    assert theirs.of_transaction("t-1") == [mirrored]


def test_two_sellers_may_number_their_orders_alike(table: ContractTable) -> None:
    first = replace(CONTRACT, side=Side.BUYER, order_id="1", state=ContractState.AGREED)
    second = replace(first, counterparty="grid.default")
    table.put(first)
    table.put(second)
    assert table.by_order("1", OTHER) == first
    assert table.by_order("1", "grid.default") == second


def test_no_contract_pushes_out_another(table: ContractTable) -> None:
    first = replace(CONTRACT, side=Side.BUYER, order_id="1", state=ContractState.CONFIRMED)
    table.put(first)
    with pytest.raises(sqlite3.IntegrityError):
        table.put(replace(first, transaction_id="t-2"))
    assert table.get("t-1", OTHER) == first


def test_a_purchase_is_never_turned_into_a_sale(table: ContractTable) -> None:
    bought = replace(CONTRACT, side=Side.BUYER, state=ContractState.CONFIRMED)
    table.put(bought)
    with pytest.raises(sqlite3.IntegrityError):
        table.put(CONTRACT)
    assert table.get("t-1", OTHER) == bought


@pytest.mark.parametrize(
    "broken",
    [
        replace(CONTRACT, energy_wh=0),
        replace(CONTRACT, amount_micro=-1),
        replace(CONTRACT, delivered_wh=501),
        replace(CONTRACT, delivered_wh=-1),
        replace(CONTRACT, settled_micro=100_001),
    ],
)
def test_impossible_numbers_never_reach_the_books(table: ContractTable, broken: Contract) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        table.put(broken)


# --- purchases and offers ---

PURCHASE = Purchase("t-1", 900, 0, 500, 280_000, None, closed=False)


def test_a_purchase_goes_its_way(table: ContractTable) -> None:
    table.start_purchase(PURCHASE)
    assert table.purchase("t-1") == PURCHASE
    table.note_asked("t-1", 3)
    assert table.purchase("t-1") == replace(PURCHASE, asked=3)
    table.close_purchase("t-1")
    assert table.purchase("t-1") == replace(PURCHASE, asked=3, closed=True)
    assert table.purchase("t-2") is None


def test_starting_a_purchase_twice_is_starting_it_once(table: ContractTable) -> None:
    table.start_purchase(PURCHASE)
    table.close_purchase("t-1")
    table.start_purchase(replace(PURCHASE, need_wh=900))
    assert table.purchases_of_slot(900) == [replace(PURCHASE, closed=True)]


def test_purchases_of_a_slot_in_order_of_attempt(table: ContractTable) -> None:
    second = replace(PURCHASE, transaction_id="t-0", attempt=1, max_price_micro=None)
    table.start_purchase(second)
    table.start_purchase(PURCHASE)
    table.start_purchase(replace(PURCHASE, transaction_id="t-9", slot=1800))
    assert table.purchases_of_slot(900) == [PURCHASE, second]


def test_the_first_offer_of_a_seller_counts(table: ContractTable) -> None:
    first = Offer("roof-1", "energy-900", 200_000, 400)
    table.add_offer("t-1", first)
    table.add_offer("t-1", first._replace(price_micro_per_kwh=1, available_wh=10**6))
    table.add_offer("t-1", first._replace(seller="grid"))
    table.add_offer("t-2", first._replace(seller="roof-2"))
    assert table.offers("t-1") == [
        Selection(first._replace(seller="grid"), None, "open"),
        Selection(first, None, "open"),
    ]
    assert table.offer("t-1", "roof-2") is None


def test_an_offer_keeps_what_was_selected(table: ContractTable) -> None:
    offer = Offer("roof-1", "energy-900", 200_000, 400)
    table.add_offer("t-1", offer)
    table.mark_offer("t-1", "roof-1", "selected", 300)
    assert table.offer("t-1", "roof-1") == Selection(offer, 300, "selected")
    table.mark_offer("t-1", "roof-1", "failed")
    assert table.offer("t-1", "roof-1") == Selection(offer, 300, "failed")
