"""Variants of a study: every combination of some values, each drawn several times, in one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import product
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from wattmesh import frames
from wattmesh.study import Study, mechanism_of
from wattmesh_cli.books import BooksError
from wattmesh_cli.state import write_whole
from wattmesh_cli.street.executors import executor_of
from wattmesh_market.mechanisms import BILATERAL, Mechanism
from wattmesh_market.parties.plugged import plugins_of
from wattmesh_market.plugins import Given, Kind, given_of, require_portable, take
from wattmesh_market.plugins.naming import given_name
from wattmesh_market.pricing import Pricing

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One run of a sweep, as it is handed to a process or a Dask worker. `state` is the directory that keeps it; what
    its `mechanism` is `given` as goes along.
    """

    study: Study
    days: int
    seed: int
    mechanism: str
    state: str | None
    given: tuple[Given, ...] = ()

    def run(self) -> list[Row]:
        """Run it here; returns a row of KPIs for each household and the community, with the audit's `findings`."""
        take(self.given)
        results = self.study.run(
            days=self.days, seed=self.seed, mechanism=self.mechanism, state=self.state, progress=False
        )
        findings = len(results.audit().findings)
        return [{**row, "findings": findings} for row in results.kpi_rows()]


@dataclass(frozen=True)
class _Asked:
    """A variant, and what the table says of it. `kept` is the file of its rows."""

    variant: Variant
    labels: Row
    kept: Path | None

    def read(self) -> list[Row] | None:
        """The rows of an earlier call; None where there are none."""
        if self.kept is None or not self.kept.exists():
            return None
        rows: list[Row] = json.loads(self.kept.read_text(encoding="utf-8"))["rows"]
        return rows

    def keep(self, rows: list[Row]) -> None:
        if self.kept is not None:
            write_whole(self.kept, json.dumps({**self.labels, "rows": rows}, indent=1, default=str))


def sweep(
    study: Study,
    values: Mapping[str, Iterable[object]],
    repeats: int = 1,
    *,
    days: int = 1,
    seed: int = 0,
    mechanism: str | Mechanism = BILATERAL,
    executor: Executor | int | str | None = None,
    folder: str | PathLike[str] | None = None,
    progress: bool = True,
) -> DataFrame:
    """Run every combination of `values` with `repeats` draws each; one table of all their KPIs.

    `values` has for each path of a field (`Study.with_values` says which) the values that it takes:
    `{"spec.battery.capacityKwh": [5, 10], "spec.tariff.price": [0.25, 0.35]}` is four variants. Repeat 0 is the study
    as it stands, each further one another draw of weather, load and prices (`Study.redrawn`), the same for all
    variants. `days`, `seed` and `mechanism` are those of `Study.run`. A strategy, pricing or forecast may be the
    plug-in itself; the table has its name.

    `executor` says where they run: None here, one after the other; a number, in so many processes; the address of a
    Dask scheduler, on its cluster; or any `concurrent.futures.Executor`. A script that uses processes keeps its own
    code below `if __name__ == "__main__":`.

    `folder` keeps every run: the same call goes on where it was stopped, and with more values or repeats runs what is
    missing. The state directory of each is there (on Dask where the worker ran it), for `Results` and `wattmesh
    compare`.

    The table has a row for each variant, repeat and party (each household, and `community`): a column for each path of
    `values`, `repeat`, `party`, a column for each KPI as in `Results.kpis`, `findings` of the audit, and with `folder`
    `state`. The index `start` is the first slot, in the street's local time, with time zone.

    Raises MissingExtra, an ImportError, without the extra `study`; ValueError and ManifestErrors, before anything runs,
    for values that do not fit and plug-ins that processes cannot be handed; BooksError where a run fails, with a note
    that says which.
    """
    frames.require()
    named = mechanism_of(mechanism)
    if repeats < 1 or days < 1:
        raise ValueError(f"repeats and days must be at least 1, not {repeats} and {days}")
    keeping = None if folder is None else Path(folder).absolute()
    asked = [
        _asked(study.with_values(chosen).redrawn(repeat), chosen, repeat, days, seed, named, keeping)
        for chosen in _combinations(values)
        for repeat in range(repeats)
    ]
    if isinstance(executor, int | ProcessPoolExecutor):
        for one in asked:
            require_portable([*one.variant.given, *given_of(plugins_of(one.variant.study.plan.households))])
    found = {at: rows for at, one in enumerate(asked) if (rows := one.read()) is not None}
    missing = {at: one for at, one in enumerate(asked) if at not in found}
    with _shown(len(asked), len(found), progress) as advance, _executor(executor, len(missing)) as chosen_executor:
        for at, rows in _ran(missing, chosen_executor):
            asked[at].keep(rows)
            found[at] = rows
            advance()
    table = frames.of_values([{**one.labels, **row} for at, one in enumerate(asked) for row in found[at]])
    return frames.at_times(table, "start", asked[0].variant.study.zone)


def _combinations(values: Mapping[str, Iterable[object]]) -> Iterator[dict[str, object]]:
    lists = {path: [] if isinstance(several, str) else list(several) for path, several in values.items()}
    for path, several in lists.items():
        if not several:
            raise ValueError(f"{path}: give a list of values, not {values[path]!r}")
    for combination in product(*lists.values()):
        yield dict(zip(lists, combination, strict=True))


def _asked(
    study: Study,
    chosen: Mapping[str, object],
    repeat: int,
    days: int,
    seed: int,
    mechanism: str,
    keeping: Path | None,
) -> _Asked:
    labels: Row = {**{path: _label(value) for path, value in chosen.items()}, "repeat": repeat}
    given = given_of([(Kind.MECHANISM, mechanism)])
    if keeping is None:
        return _Asked(Variant(study, days, seed, mechanism, None, given), labels, None)
    told = [version("wattmesh"), study.fingerprint, study.to_yaml(), days, seed, mechanism]
    name = sha256(json.dumps(told).encode()).hexdigest()[:16]
    keeping.mkdir(parents=True, exist_ok=True)
    state = str(keeping / name)
    variant = Variant(study, days, seed, mechanism, state, given)
    return _Asked(variant, {**labels, "state": state}, keeping / f"{name}.json")


def _label(value: object) -> object:
    """What the table says of a value: of a plug-in its name."""
    return given_name(value) if callable(value) or isinstance(value, Pricing) else value


def _ran(missing: Mapping[int, _Asked], executor: Executor | None) -> Iterator[tuple[int, list[Row]]]:
    """The rows of each as it is done; where one fails, those not begun are called off."""
    if executor is None:
        for at, one in missing.items():
            with _noted(one):
                rows = one.variant.run()
            yield at, rows
        return
    running = {executor.submit(Variant.run, one.variant): at for at, one in missing.items()}
    try:
        for future in as_completed(running):
            at = running[future]
            with _noted(missing[at]):
                rows = future.result()
            yield at, rows
    finally:
        for future in running:
            future.cancel()


@contextmanager
def _noted(one: _Asked) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        text = "a worker process ended: was there memory enough, and does the script keep its code below"
        raise BooksError(f'{text} `if __name__ == "__main__":`? With a folder the same call goes on') from None
    except Exception as error:
        error.add_note(f"in the variant {one.labels}")
        raise


@contextmanager
def _executor(executor: Executor | int | str | None, variants: int) -> Iterator[Executor | None]:
    if executor is None or isinstance(executor, Executor) or not variants:
        with nullcontext(executor if isinstance(executor, Executor) else None) as given:
            yield given
        return
    scheduler = executor if isinstance(executor, str) else None
    jobs = executor if isinstance(executor, int) else 1
    with executor_of(min(jobs, variants), scheduler) as made:
        yield made


@contextmanager
def _shown(variants: int, done: int, progress: bool) -> Iterator[Callable[[], None]]:
    with Progress(console=Console(stderr=True), disable=not progress, transient=True) as shown:
        task = shown.add_task("variants", total=variants, completed=done)
        yield lambda: shown.advance(task)
