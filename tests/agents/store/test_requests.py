"""How requests in v2 were signed is known after a restart, for as long as their callbacks may come."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.mail import ASKED_MS, Requests
from wattmesh_beckn.receiver import Asked

FIRST, SECOND = ("roof-0.default", "m-1", "select"), ("roof-0.default", "m-2", "init")
ASKED = Asked("a digest", "a signature")


def write(database: Database, requests: Requests, keys: Iterable[tuple[str, str, str]], now_ms: int) -> None:
    new = dict.fromkeys(keys, ASKED)
    with database.transaction("test"):
        requests.write(new, now_ms)
    requests.know(new, now_ms)


def test_what_was_asked_is_known_after_a_restart(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "pod.db")) as database:
        write(database, Requests(database.connection), [FIRST], 1_000)
    with closing(Database.open(tmp_path / "pod.db")) as database:
        again = Requests(database.connection)
    assert (again.asked(*FIRST), again.asked(*SECOND)) == (ASKED, None)


def test_and_forgotten_when_no_callback_can_come_any_more() -> None:
    database = Database.open(IN_MEMORY)
    requests = Requests(database.connection)
    write(database, requests, [FIRST], 1_000)
    write(database, requests, [SECOND], 1_000 + ASKED_MS)
    assert (requests.asked(*FIRST), requests.asked(*SECOND)) == (ASKED, ASKED)
    write(database, requests, [SECOND], 1_001 + ASKED_MS)
    assert (requests.asked(*FIRST), requests.asked(*SECOND)) == (None, ASKED)
    assert Requests(database.connection).asked(*FIRST) is None
