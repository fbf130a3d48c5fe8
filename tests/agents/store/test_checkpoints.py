"""The brain's threads live in the same transaction as the effects that they go with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agents.support import FIRST_SLOT, HandClock, Node, battery, household
from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.store.messages import Outbox, Timers

NEXT = FIRST_SLOT + 900


class Failure(Exception):
    pass


@pytest.fixture
def node() -> Iterator[Node]:
    """A household with a low battery, which buys when its brain is woken."""
    node = Node(household("home-0", battery(level_wh=1500)), HandClock())
    yield node
    node.database.close()


def rows(node: Node, table: str) -> int:
    count: int = node.database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return count


def effects(node: Node) -> dict[str, int]:
    return {
        table: rows(node, table)
        for table in ("checkpoints", "writes", "purchases", "roles", "outbox", "timers")
        if rows(node, table)
    }


def search_then_fail(node: Node, brain: Brain) -> None:
    with node.database.transaction():
        brain.wake(node.party, NEXT, 0)
        assert rows(node, "checkpoints") == 1, "the thread waits for offers"
        raise Failure


def test_a_thread_is_kept_with_what_it_did(node: Node) -> None:
    brain = Brain(node.database.connection)
    with node.database.transaction():
        brain.wake(node.party, NEXT, 0)
    kept = effects(node)
    assert {"checkpoints", "purchases", "roles", "outbox", "timers"} <= set(kept)
    assert [message.action for message in node.posted] == ["search"]
    assert [timer.kind for timer in node.armed] == ["collect"]


def test_a_thread_goes_with_the_transaction_that_fails(node: Node) -> None:
    brain = Brain(node.database.connection)
    with pytest.raises(Failure):
        search_then_fail(node, brain)
    assert effects(node) == {}
    assert (node.posted, node.armed) == ([], [])


def test_after_a_failure_the_same_thread_can_start_anew(node: Node) -> None:
    brain = Brain(node.database.connection)
    with pytest.raises(Failure):
        search_then_fail(node, brain)
    with node.database.transaction():
        brain.wake(node.party, NEXT, 0)
    assert rows(node, "checkpoints") == rows(node, "purchases") == 1
    assert [message.action for message in node.posted] == ["search"]


def test_a_step_of_a_thread_that_fails_leaves_it_where_it_was(node: Node) -> None:
    brain = Brain(node.database.connection)
    with node.database.transaction():
        brain.wake(node.party, NEXT, 0)
    transaction_id = node.posted[0].transaction_id
    before = (effects(node), node.trader.contracts.purchase(transaction_id))

    def fail() -> None:
        with node.database.transaction():
            brain.buyer_event(node.party, transaction_id, "window closed")
            assert rows(node, "checkpoints") == 0, "without offers the thread has ended"
            raise Failure

    with pytest.raises(Failure):
        fail()
    assert (effects(node), node.trader.contracts.purchase(transaction_id)) == before
    with node.database.transaction():
        brain.buyer_event(node.party, transaction_id, "window closed")
    assert rows(node, "checkpoints") == 0
    purchase = node.trader.contracts.purchase(transaction_id)
    assert purchase is not None
    assert purchase.closed


def test_another_process_takes_the_thread_up(node: Node) -> None:
    brain = Brain(node.database.connection)
    with node.database.transaction():
        brain.wake(node.party, NEXT, 0)
    node.restart()
    (collect,) = node.armed
    assert [message.action for message in node.posted] == ["search"]
    assert Outbox(node.database.connection).waiting() == node.posted
    node.clock.now = collect.due_ms / 1000 + 10  # too late for another round
    node.ring(collect)
    assert rows(node, "checkpoints") == 0
    assert Timers(node.database.connection).waiting() == []
