"""Inbox, outbox and timers: what is remembered, sent once, and rung once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.messages import Inbox, Outbox, Outgoing, Timer, Timers
from wattmesh_agents.store.retention import Horizon, forget
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.errors import ErrorCode, declined

ME, OTHER = "roof-0.default", "flat-0.default"
MESSAGE = Outgoing(ME, "m-1", "on_select", OTHER, "t-1", b'{"a":1}', 30_000)
TIMER = Timer(ME, "collect", "t-1", 5000)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    database = Database.open(IN_MEMORY, salt="s")
    yield database.connection
    database.close()


def test_the_first_answer_is_given_again(connection: sqlite3.Connection) -> None:
    inbox = Inbox(connection, ME)
    refused = nack(declined(ErrorCode.QUANTITY_UNAVAILABLE, "nothing to sell"))
    assert inbox.first_answer(OTHER, "m-1", "select") is None
    inbox.remember(OTHER, "m-1", "select", refused, 1000)
    inbox.remember(OTHER, "m-1", "init", ack(), 1000)
    assert inbox.first_answer(OTHER, "m-1", "select") == refused
    assert inbox.first_answer(OTHER, "m-1", "init") == ack()
    assert inbox.first_answer("somebody-else", "m-1", "select") is None
    assert inbox.first_answer(OTHER, "m-2", "select") is None
    assert Inbox(connection, OTHER).first_answer(OTHER, "m-1", "select") is None


def test_an_answer_is_remembered_once(connection: sqlite3.Connection) -> None:
    inbox = Inbox(connection, ME)
    inbox.remember(OTHER, "m-1", "select", ack(), 1000)
    with pytest.raises(sqlite3.IntegrityError):
        inbox.remember(OTHER, "m-1", "select", ack(), 1000)


def test_answers_are_forgotten_when_nobody_can_ask_again(connection: sqlite3.Connection) -> None:
    inbox = Inbox(connection, ME)
    inbox.remember(OTHER, "m-1", "select", ack(), 1000)
    inbox.remember(OTHER, "m-2", "select", ack(), 1001)
    forget(connection, Horizon(1001, 0.0, 1.0), here=[ME], needed=[])
    assert inbox.first_answer(OTHER, "m-1", "select") is None
    assert inbox.first_answer(OTHER, "m-2", "select") == ack()


def test_a_message_waits_until_it_is_done(connection: sqlite3.Connection) -> None:
    outbox = Outbox(connection)
    assert outbox.put(MESSAGE)
    assert not outbox.put(replace(MESSAGE, body=b"another")), "a step run twice says nothing twice"
    assert outbox.waiting() == [MESSAGE]
    outbox.done(replace(MESSAGE, body=b"another"))
    assert outbox.waiting() == []


def test_messages_wait_in_the_order_in_which_they_expire(connection: sqlite3.Connection) -> None:
    outbox = Outbox(connection)
    late, callback = replace(MESSAGE, message_id="m-0", expires_ms=40_000), replace(MESSAGE, recipient="grid.default")
    for message in (late, MESSAGE, callback):
        outbox.put(message)
    assert outbox.waiting()[-1] == late
    outbox.done(MESSAGE)
    assert outbox.waiting() == [callback, late]


def test_a_timer_is_taken_once(connection: sqlite3.Connection) -> None:
    timers = Timers(connection)
    timers.put(TIMER)
    assert timers.waiting() == [TIMER]
    assert timers.take(TIMER)
    assert not timers.take(TIMER)
    assert timers.waiting() == []


def test_a_timer_that_was_moved_does_not_ring_at_its_old_time(connection: sqlite3.Connection) -> None:
    timers = Timers(connection)
    moved = replace(TIMER, due_ms=9000)
    timers.put(TIMER)
    timers.put(moved)
    assert not timers.take(TIMER)
    assert timers.waiting() == [moved]


def test_timers_by_time(connection: sqlite3.Connection) -> None:
    timers = Timers(connection)
    soon, other = replace(TIMER, kind="stall", due_ms=10), replace(TIMER, subject="t-2")
    for timer in (TIMER, other, soon):
        timers.put(timer)
    assert timers.waiting() == [soon, TIMER, other]
