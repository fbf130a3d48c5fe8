"""A feeder as a study: the market's rules by calls, its rows brought into a database in bulk.

What is run is a function of configuration, state and slots (`run_part`), so it may run in any process or machine, and
be run again where one dies.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from wattmesh_agents.store import journal
from wattmesh_agents.store.database import Database
from wattmesh_cli.street.feeders import feeder_of
from wattmesh_cli.street.virtual_time import EPOCH, slot_start
from wattmesh_common.clock import stopwatch
from wattmesh_common.price_files import series_of
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.profiles import Profile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms import BILATERAL, mechanism_named
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Surroundings, standing_at
from wattmesh_market.parties.plugged import plugins_of
from wattmesh_market.parties.utility import Utility
from wattmesh_market.plugins import Given, Kind, given_of, take
from wattmesh_market.plugins.watch import Trouble, Watch, merged
from wattmesh_market.study.feeder import Feeder
from wattmesh_operator.plan import GatewayPlan, runtime_config


class Part(NamedTuple):
    """Some slots of a feeder: from `first` on up to `until` (not included), or what is left to settle in `until`.

    No slot from `end` on is traded. `books` are those of each party when `first` begins; they trade by `mechanism`.
    `given` are the plug-ins that were given in Python.
    """

    configs: tuple[RuntimeConfig, ...]
    seed: int
    books: Mapping[str, Books]
    first: int
    until: int
    end: int | None
    settling: bool = False
    mechanism: str = BILATERAL
    given: tuple[Given, ...] = ()


class PartDone(NamedTuple):
    """Each party's books after a part, the rows that changed, how many messages it has sent of each action, and what
    plug-ins did wrong.
    """

    books: Mapping[str, Books]
    changes: Mapping[str, Changes]
    sent: tuple[tuple[str, str, int], ...]
    troubles: tuple[Trouble, ...] = ()


def run_part(part: Part) -> PartDone:
    """Run a part of a study, in whichever process."""
    take(part.given)
    watch = _watch()
    feeder = _feeder(part, watch)
    _run(feeder, part)
    return _done(feeder, watch)


def packed(part: Part) -> bytes:
    """A part as it goes to another process, a third of its size: a Dask scheduler makes Python objects of all that it
    passes on, and keeps the last thousand messages to each worker.
    """
    return zlib.compress(pickle.dumps(part), 1)


def run_packed(part: bytes) -> PartDone:
    """Run a part that was `packed`."""
    return run_part(pickle.loads(zlib.decompress(part)))  # noqa: S301 - from the process that runs the study


class StudyFeeder:
    """One feeder of a study, with one database for all of its parties in folder `working`.

    A database for each household, as pods have, would cost a town more memory and time than its market does.
    """

    def __init__(self, plan: GatewayPlan, seed: int, mechanism: str, saved: Path | None, working: Path) -> None:
        """Begin with the street's first slot, or with the database in folder `saved`. DatabaseRefused."""
        self.plan = plan
        self._name = f"{feeder_of(plan)}.db"
        self._seed = seed
        self._mechanism = mechanism
        self._configs = tuple(runtime_config(pod, gateway_url="", epoch=EPOCH) for pod in plan.pods)
        self._first = int(slot_start(plan, 0).timestamp())
        self._path = working / self._name
        if saved is not None:
            copyfile(saved / self._name, self._path)
        self._kinds: dict[str, str] = {}
        households: dict[str, HouseholdConfig | None] = {}
        for config in self._configs:
            for household in config.households:
                self._kinds[household.subscriber_id] = Household.kind
                households[household.subscriber_id] = household
            for utility in config.utilities:
                self._kinds[utility.subscriber_id] = Utility.kind
                households[utility.subscriber_id] = None
        with closing(Database.open(self._path, salt=str(seed))) as database:
            self._books: Mapping[str, Books] = {
                party: journal.load(database.connection, party, None, standing_at(self._first, household))
                for party, household in households.items()
            }
        self._live: Feeder | None = None
        self._watch = _watch()
        self.troubles: tuple[Trouble, ...] = ()
        """What plug-ins did wrong so far."""

    @contextmanager
    def _database(self) -> Iterator[Database]:
        """The database, open while it is needed: all of a town's would take more memory than its market."""
        with closing(Database.reopen(self._path)) as database:
            database.connection.execute("PRAGMA synchronous = OFF")  # what counts is saved whole
            yield database

    def part(self, first: int, until: int, end: int | None, *, settling: bool = False) -> Part:
        """Slots `first` to `until` of the run (numbers) as a part to run."""
        numbers = (self._first + SLOT_S * first, self._first + SLOT_S * until)
        ends = None if end is None else self._first + SLOT_S * end
        given = given_of([*plugins_of(self.plan.households), (Kind.MECHANISM, self._mechanism)])
        return Part(self._configs, self._seed, self._books, *numbers, ends, settling, self._mechanism, given)

    def run(self, part: Part) -> PartDone:
        """Run a part here; the parties are kept from one part to the next."""
        if self._live is None:
            self._live = _feeder(part, self._watch)
        _run(self._live, part)
        return _done(self._live, self._watch)

    def take(self, done: PartDone) -> None:
        """Bring a part's rows into the database."""
        self._books = done.books
        self.troubles = merged([*self.troubles, *done.troubles])
        with self._database() as database, database.transaction("study") as connection:
            for party, changes in done.changes.items():
                journal.write(connection, party, self._kinds[party], changes)
            journal.count_messages(connection, done.sent)

    def save(self, folder: Path) -> None:
        """Write a copy of the database to `folder`; OSError, sqlite3.Error."""
        with self._database() as database:
            database.save(folder / self._name)


def _watch() -> Watch:
    """Plug-ins are measured and never set aside: the books do not follow from the machine."""
    return Watch(stopwatch)


def _feeder(part: Part, watch: Watch) -> Feeder:
    grid, now = part.configs[0].clock.grid_time, Now()
    parties: list[Household | Utility] = []
    for config in part.configs:
        around = Surroundings(config.currency, config.gateway.subscriber_id, grid, now, watch=watch)
        salt = f"{part.seed}/{config.pod}"
        for household in config.households:
            books = part.books[household.subscriber_id]
            profile, prices = _profile(household, grid.utc_offset_s), series_of(household.backstop.tariff)
            parties.append(Household(household, profile, around, books, salt, prices))
        parties += [
            Utility(one, around, part.books[one.subscriber_id], salt, series_of(one.tariff)) for one in config.utilities
        ]
    for party in parties:
        # Rows gather until the part is over, and nothing is ever taken back.
        new, party.books.changes = party.books.changes, Changes(reversible=False)
        party.books.changes.standing = new.standing
    return Feeder(parties, now, grid, mechanism_named(part.mechanism), watch)


def _run(feeder: Feeder, part: Part) -> None:
    feeder.end_trading(part.end)
    for slot in range(part.first, part.until, SLOT_S):
        feeder.run_slot(slot)
    if part.settling:
        feeder.settle(part.until)


def _done(feeder: Feeder, watch: Watch) -> PartDone:
    books, changes = {}, {}
    for name, party in feeder.parties.items():
        books[name], changes[name] = party.books, party.books.changes
        party.books.changes = Changes(reversible=False)
    sent = tuple((party, str(action), number) for (party, action), number in feeder.sent.items())
    feeder.sent.clear()
    return PartDone(books, changes, sent, watch.take())


@lru_cache(maxsize=10_000)
def _profile(household: HouseholdConfig, utc_offset_s: int) -> Profile:
    return profile_of(household, utc_offset_s)
