"""Having every pod forget a household that has left: on this machine in its databases, while no street runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from wattmesh_agents.store import forgetting
from wattmesh_agents.store.database import Database
from wattmesh_cli.books import BooksError
from wattmesh_cli.state import AGENTS, StateError, locked
from wattmesh_cli.street_record import read_record
from wattmesh_common.chain import SALT_BYTES
from wattmesh_common.forget import ForgottenRows
from wattmesh_common.sqlite_files import DatabaseRefused


@dataclass(frozen=True)
class Leaver:
    """A household that has left, by its id. `lost`: its books are, so that it could not close its account.
    `only_count` changes nothing. `asked` has by pod a party that lives there.
    """

    household: str
    lost: bool
    only_count: bool
    asked: Mapping[str, str]


@dataclass(frozen=True)
class Forgets:
    """What a pod has forgotten, or is to forget. `wiped`: its files have nothing left of it."""

    pod: str
    rows: tuple[ForgottenRows, ...]
    wiped: bool


def forget_on_this_machine(state: Path, leaver: Leaver) -> Sequence[Forgets]:
    """Forget a household in all databases of a live street that is stopped. A database of its own is deleted.

    Where it has one, and everything in it is settled, no closing record is needed: local streets make none. BooksError,
    and nothing has changed, when it cannot be forgotten yet.
    """
    if read_record(state).study is not None:
        raise StateError(f"{state}: has a study, which no household is in; delete the directory")
    with locked(state), ExitStack() as opened:
        try:
            databases = {
                path: opened.enter_context(closing(Database.open(path)))
                for path in sorted((state / AGENTS).glob("*.db"))
            }
        except DatabaseRefused as refused:
            raise StateError(str(refused)) from None
        household = leaver.household
        own = [path for path, database in databases.items() if household in _parties(database)]
        lost = leaver.lost or bool(own)
        reasons = [
            reason
            for database in databases.values()
            for reason in forgetting.obstacles(database.connection, household, lost=lost)
        ]
        if reasons:
            raise BooksError(f"{household} cannot be forgotten yet: {'; '.join(reasons)}")
        found = {path: tuple(forgetting.count(one.connection, household)) for path, one in databases.items()}
        if leaver.only_count:
            return [Forgets(path.stem, rows, wiped=False) for path, rows in found.items()]
        salt = secrets.token_bytes(SALT_BYTES)
        for database in databases.values():
            with database.transaction("forget") as connection:
                forgetting.forget(connection, household, salt)
        wiped = {path: database.wipe() for path, database in databases.items()}
        for path in own:
            if not _parties(databases[path]):
                databases[path].close()
                for file in path.parent.glob(f"{path.name}*"):
                    file.unlink()
        return [Forgets(path.stem, rows, wiped[path]) for path, rows in found.items()]


def _parties(database: Database) -> list[str]:
    return [party for (party,) in database.connection.execute("SELECT party FROM parties")]
