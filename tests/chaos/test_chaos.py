"""The chaos run at small size, and that what it is judged by can fail. `make chaos` has the large one."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import get_args

import pytest

from tests.chaos import books
from tests.chaos.run import Result, Run
from tests.chaos.schedule import Kind, fatal_points, fate, lives, troubles
from wattmesh_common.faultpoints import FaultPoint
from wattmesh_common.fields import Protocols

CONTRACTS = 60
_GIVE_UP_S = 600


@pytest.fixture(scope="module")
def ran() -> Iterator[tuple[Result, Path]]:
    """A run that is over, and its files."""
    with tempfile.TemporaryDirectory(prefix="wattmesh-") as folder:  # short: it holds unix sockets
        result = asyncio.run(Run(7, Path(folder), lambda _: None).go(CONTRACTS, _GIVE_UP_S))
        yield result, Path(folder)


def test_processes_are_killed_and_messages_lost_and_yet_the_books_are_right(ran: tuple[Result, Path]) -> None:
    result, _ = ran
    assert result.wrong == []
    assert result.contracts >= CONTRACTS
    assert result.killed_at_points + result.killed_at_random >= 7  # each process at least at the end
    assert all(result.post[what] for what in ("dropped", "answers dropped", "doubled", "delayed", "reordered"))


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM contracts WHERE order_id = (SELECT min(order_id) FROM contracts WHERE state = 'SETTLED')",
        "UPDATE contracts SET amount_micro = amount_micro + 1",
        "UPDATE ledger SET energy_wh = energy_wh + 1 WHERE kind = 'trade'",
        "UPDATE readings SET level_after_wh = level_after_wh + 1",
    ],
    ids=["a contract lost", "another price", "a Wh too many", "a level that jumps"],
)
def test_the_audit_of_a_run_notices(loss: str, ran: tuple[Result, Path], tmp_path: Path) -> None:
    _, state = ran
    (tmp_path / "agents").mkdir()
    for database in (state / "agents").glob("*.db"):
        with (
            closing(sqlite3.connect(database)) as source,
            closing(sqlite3.connect(tmp_path / "agents" / database.name)) as copy,
        ):
            source.backup(copy)
    assert not books.audit_of(tmp_path).findings
    with closing(sqlite3.connect(tmp_path / "agents" / "roofs-north-pod-0.db")) as connection:
        connection.execute(loss)
        connection.commit()
    assert books.audit_of(tmp_path).findings


def test_a_seed_gives_the_same_chaos_again() -> None:
    processes = ["roofs-north", "gateway"]
    assert list(islice(troubles(3, processes), 50)) == list(islice(troubles(3, processes), 50))
    assert list(islice(lives(3, "a", "roofs"), 50)) == list(islice(lives(3, "a", "roofs"), 50))
    fates = [fate(3, f"select/{number}", 1) for number in range(1000)]
    assert fates == [fate(3, f"select/{number}", 1) for number in range(1000)]
    assert fates != [fate(4, f"select/{number}", 1) for number in range(1000)]
    assert all(any(getattr(lot, what) for lot in fates) for what in ("drop", "drop_answer", "delay_s", "overtaken"))


SPOKEN: list[Protocols] = [("v1",), ("v2",), ("v1", "v2")]


@pytest.mark.parametrize("protocols", SPOKEN, ids="+".join)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_fault_point_has_its_turn(kind: Kind, protocols: Protocols) -> None:
    points = fatal_points(kind, protocols)
    assert len(set(points)) == len(points)
    turns = {(fatal.point, fatal.occasion) for fatal in islice(lives(1, "process", kind, protocols), 4 * len(points))}
    assert turns == set(points)


@pytest.mark.parametrize("protocols", SPOKEN, ids="+".join)
def test_each_named_point_is_deadly_to_somebody(protocols: Protocols) -> None:
    broadcast = {FaultPoint.BEFORE_BROADCAST, FaultPoint.AFTER_BROADCAST}
    deadly = {point for kind in get_args(Kind) for point, _ in fatal_points(kind, protocols)}
    assert deadly == (set(FaultPoint) if "v1" in protocols else set(FaultPoint) - broadcast)
