"""`wattmesh.sweep`: variants of a study in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import wattmesh
from tests.study.test_study import documents
from wattmesh import sweeps
from wattmesh.sweeps import Row, Variant

BATTERY, PRICE = "spec.battery.capacityKwh", "spec.tariff.price"
VALUES: dict[str, Iterable[object]] = {BATTERY: [3, 6.5], PRICE: np.array([0.25, 0.4])}


@pytest.fixture(scope="module")
def study() -> wattmesh.Study:
    return wattmesh.Study.from_manifests(documents())


@pytest.fixture(scope="module")
def table(study: wattmesh.Study) -> pd.DataFrame:
    return wattmesh.sweep(study, VALUES, 2, progress=False)


@pytest.fixture(scope="module")
def dask() -> Iterator[str]:
    distributed: Any = import_module("distributed")  # comes without types
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=":0", processes=False
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Variant]:
    """Variants that were run, not read from the folder."""
    found: list[Variant] = []
    run = Variant.run

    def noted(self: Variant) -> list[Row]:
        found.append(self)
        return run(self)

    monkeypatch.setattr(Variant, "run", noted)
    return found


def test_a_row_for_each_variant_repeat_and_party(table: pd.DataFrame) -> None:
    assert len(table) == 4 * 2 * 5
    assert list(table.columns[:4]) == [BATTERY, PRICE, "repeat", "party"]
    assert table.index.name == "start"
    assert set(table.index) == {pd.Timestamp("2026-06-21T06:00Z")}
    assert set(table["findings"]) == {0}
    assert not table.duplicated([BATTERY, PRICE, "repeat", "party"]).any()


def test_a_repeat_is_another_draw_and_the_same_for_all_variants(table: pd.DataFrame) -> None:
    sun = table[table["party"] == "community"].groupby("repeat")["pv_kwh"].agg(["nunique", "first"])
    assert list(sun["nunique"]) == [1, 1]
    assert sun["first"].nunique() == 2


def test_a_row_is_what_the_run_of_that_variant_comes_to(study: wattmesh.Study, table: pd.DataFrame) -> None:
    variant = study.with_values({BATTERY: 6.5, PRICE: 0.4}).redrawn(1)
    [row] = (
        table[(table[BATTERY] == 6.5) & (table[PRICE] == 0.4) & (table["repeat"] == 1)]
        .query("party == 'community'")
        .to_dict("records")
    )
    [kpis] = variant.run(progress=False).kpis.query("party == 'community'").to_dict("records")
    assert {name: row[name] for name in kpis} == pytest.approx(kpis, nan_ok=True, abs=0)


@pytest.mark.parametrize("where", ["processes", "threads", "dask"])
def test_it_is_the_same_wherever_it_runs(
    study: wattmesh.Study, table: pd.DataFrame, where: str, request: pytest.FixtureRequest
) -> None:
    with ThreadPoolExecutor(2) as threads:
        executor = {"processes": 2, "threads": threads, "dask": where == "dask" and request.getfixturevalue("dask")}
        again = wattmesh.sweep(study, VALUES, 2, executor=executor[where], progress=False)
    pd.testing.assert_frame_equal(again, table)


def test_it_goes_on_where_it_was_stopped_and_takes_more_values(
    study: wattmesh.Study, tmp_path: Path, ran: list[Variant], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        keep = sweeps._Asked.keep

        def stopped(self: sweeps._Asked, rows: list[Row]) -> None:
            keep(self, rows)
            raise KeyboardInterrupt

        patch.setattr(sweeps._Asked, "keep", stopped)
        with pytest.raises(KeyboardInterrupt):
            wattmesh.sweep(study, {BATTERY: [3, 6]}, folder=tmp_path, progress=False)
    assert len(ran) == 1
    whole = wattmesh.sweep(study, {BATTERY: [3, 6]}, folder=tmp_path, progress=False)
    assert len(ran) == 2
    more = wattmesh.sweep(study, {BATTERY: [3, 6, 9]}, folder=tmp_path, progress=False)
    assert len(ran) == 3
    pd.testing.assert_frame_equal(more[more[BATTERY] < 9], whole)
    other = wattmesh.sweep(study, {BATTERY: [3]}, seed=1, folder=tmp_path, progress=False)
    assert len(ran) == 4
    assert set(other["state"]).isdisjoint(more["state"])


def test_each_run_is_there_to_be_looked_at(study: wattmesh.Study, tmp_path: Path) -> None:
    table = wattmesh.sweep(study, {BATTERY: [3, 6]}, folder=tmp_path, progress=False)
    for state, rows in table.groupby("state"):
        bills = wattmesh.Results(str(state)).kpis["bill"]
        assert list(bills) == list(rows["bill"])


def test_no_variant_runs_when_one_of_them_cannot(study: wattmesh.Study, tmp_path: Path, ran: list[Variant]) -> None:
    with pytest.raises(wattmesh.ManifestErrors, match="must be at most capacityKwh"):
        wattmesh.sweep(study, {BATTERY: [6, 0.5]}, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="did you mean spec"):
        wattmesh.sweep(study, {"spec.battery.capacitykwh": [6]}, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="give a list of values"):
        wattmesh.sweep(study, {"solaragent.spec.strategy": "rules"}, folder=tmp_path, progress=False)
    assert ran == []


def test_a_run_that_fails_says_which_it_was(study: wattmesh.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Variant) -> list[Row]:
        raise wattmesh.BooksError("no space left")

    monkeypatch.setattr(Variant, "run", full)
    with pytest.raises(wattmesh.BooksError) as caught:
        wattmesh.sweep(study, {BATTERY: [6]}, progress=False)
    assert caught.value.__notes__ == [f"in the variant {{'{BATTERY}': 6, 'repeat': 0}}"]
