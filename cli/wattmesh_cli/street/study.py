"""A feeder as a study: the market's rules by calls, its rows brought into the pods' databases in bulk.

What is run is a function of configuration, state and slots (`run_part`), so it may run in any process or machine, and
be run again where one dies.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from wattmesh_agents.store import journal
from wattmesh_agents.store.database import Database
from wattmesh_cli.street.feeder_run import slot_start
from wattmesh_cli.street.memory import EPOCH
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.profiles import Profile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Books, Changes, Standing
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Surroundings, standing_at
from wattmesh_market.parties.utility import Utility
from wattmesh_market.study.feeder import Feeder
from wattmesh_operator.plan import GatewayPlan, runtime_config


class Part(NamedTuple):
    """Some slots of a feeder: from `first` on up to `until` (not included), or what is left to settle in `until`.

    No slot from `end` on is traded. `books` are those of each party when `first` begins.
    """

    configs: tuple[RuntimeConfig, ...]
    seed: int
    books: Mapping[str, Books]
    first: int
    until: int
    end: int | None
    settling: bool = False


class PartDone(NamedTuple):
    """Each party's books after a part, the rows that changed, and how many messages it has sent of each action."""

    books: Mapping[str, Books]
    changes: Mapping[str, Changes]
    sent: tuple[tuple[str, str, int], ...]


def run_part(part: Part) -> PartDone:
    """Run a part of a study, in whichever process."""
    feeder = _feeder(part)
    _run(feeder, part)
    return _done(feeder)


class StudyFeeder:
    """One feeder of a study, with a database for each pod in folder `working`."""

    def __init__(self, plan: GatewayPlan, seed: int, saved: Path | None, working: Path) -> None:
        """Begin with the street's first slot, or with the databases of folder `saved`. DatabaseRefused."""
        self.plan = plan
        self._seed = seed
        self._configs = tuple(runtime_config(pod, gateway_url="", epoch=EPOCH) for pod in plan.pods)
        self._first = int(slot_start(plan, 0).timestamp())
        self._databases: dict[str, Database] = {}
        self._home: dict[str, tuple[Database, str]] = {}
        books: dict[str, Books] = {}
        for config in self._configs:
            path = working / f"{config.pod}.db"
            if saved is not None:
                path.write_bytes((saved / path.name).read_bytes())
            database = self._databases[config.pod] = Database.open(path, salt=f"{seed}/{config.pod}")
            database.connection.execute("PRAGMA synchronous = OFF")  # what counts is saved whole
            for household in config.households:
                self._home[household.subscriber_id] = (database, Household.kind)
                new = standing_at(self._first, household.battery)
                books[household.subscriber_id] = self._load(database, household.subscriber_id, new)
            for utility in config.utilities:
                self._home[utility.subscriber_id] = (database, Utility.kind)
                books[utility.subscriber_id] = self._load(database, utility.subscriber_id, standing_at(self._first))
        self._books: Mapping[str, Books] = books
        self._live: Feeder | None = None

    def _load(self, database: Database, party: str, new: Standing) -> Books:
        return journal.load(database.connection, party, self._first, new)

    def part(self, first: int, until: int, end: int | None, *, settling: bool = False) -> Part:
        """Slots `first` to `until` of the run (numbers) as a part to run."""
        numbers = (self._first + SLOT_S * first, self._first + SLOT_S * until)
        ends = None if end is None else self._first + SLOT_S * end
        return Part(self._configs, self._seed, self._books, *numbers, ends, settling)

    def run(self, part: Part) -> PartDone:
        """Run a part here; the parties are kept from one part to the next."""
        if self._live is None:
            self._live = _feeder(part)
        _run(self._live, part)
        return _done(self._live)

    def take(self, done: PartDone) -> None:
        """Bring a part's rows into the databases."""
        self._books = done.books
        for database in self._databases.values():
            with database.transaction("study") as connection:
                for party, changes in done.changes.items():
                    home, kind = self._home[party]
                    if home is database:
                        journal.write(connection, party, kind, changes)
                journal.count_messages(connection, [row for row in done.sent if self._home[row[0]][0] is database])

    def save(self, folder: Path) -> None:
        """Write a copy of each pod's database to `folder`; OSError, sqlite3.Error."""
        for name, database in self._databases.items():
            database.save(folder / f"{name}.db")

    def close(self) -> None:
        """Give up the databases."""
        for database in self._databases.values():
            database.close()


def _feeder(part: Part) -> Feeder:
    grid, now = part.configs[0].clock.grid_time, Now()
    parties: list[Household | Utility] = []
    for config in part.configs:
        around = Surroundings(config.currency, config.gateway.subscriber_id, grid, now)
        salt = f"{part.seed}/{config.pod}"
        for household in config.households:
            books = part.books[household.subscriber_id]
            parties.append(Household(household, _profile(household, grid.utc_offset_s), around, books, salt))
        parties += [Utility(one, around, part.books[one.subscriber_id], salt) for one in config.utilities]
    for party in parties:
        # Rows gather until the part is over, and nothing is ever taken back.
        new, party.books.changes = party.books.changes, Changes(reversible=False)
        party.books.changes.standing = new.standing
    return Feeder(parties, now, grid)


def _run(feeder: Feeder, part: Part) -> None:
    feeder.end_trading(part.end)
    for slot in range(part.first, part.until, SLOT_S):
        feeder.run_slot(slot)
    if part.settling:
        feeder.settle(part.until)


def _done(feeder: Feeder) -> PartDone:
    books, changes = {}, {}
    for name, party in feeder.parties.items():
        books[name], changes[name] = party.books, party.books.changes
        party.books.changes = Changes(reversible=False)
    sent = tuple((party, str(action), number) for (party, action), number in feeder.sent.items())
    feeder.sent.clear()
    return PartDone(books, changes, sent)


@lru_cache(maxsize=10_000)
def _profile(household: HouseholdConfig, utc_offset_s: int) -> Profile:
    return profile_of(household, utc_offset_s)
