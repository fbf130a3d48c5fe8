"""The same seed gives the same ledger, byte for byte."""

from __future__ import annotations

from tests.street.test_faults import STREET, faulty
from tests.world.faults import FAULTS
from tests.world.manifests import example, planned
from tests.world.street import Street, play


def _transactions(street: Street) -> set[str]:
    return {row.transaction_id for row in street.contracts("buyer")}


def test_the_same_seed_gives_the_same_ledger_byte_for_byte() -> None:
    first, second = (play(example("street.yaml"), 1.0, seed=11) for _ in range(2))
    assert len(_transactions(first)) > 5
    assert first.as_bytes() == second.as_bytes()


def test_also_when_messages_are_lost_late_and_doubled() -> None:
    first, second = (play(planned(STREET), 0.75, seed=12, wrap=faulty(FAULTS, 12, 0.3)) for _ in range(2))
    assert _transactions(first)
    assert first.as_bytes() == second.as_bytes()


def test_another_seed_gives_other_transactions() -> None:
    first, second = (play(planned(STREET), 0.5, seed=seed) for seed in (13, 14))
    assert _transactions(first)
    assert _transactions(first).isdisjoint(_transactions(second))
