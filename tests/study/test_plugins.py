"""Plug-ins in a study: what they see, that they trade, and that bad ones hurt no books and are named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import wattmesh
from tests.study.test_study import documents
from tests.world import plugged
from tests.world.installed import install
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books
from wattmesh_market.plugins import look_again

ROOF, FLAT = 2, 3
"""Where the documents of roofs and flats are."""
ROOF_0 = "roof-0.default"


def street(**of_all: object) -> list[dict[str, Any]]:
    """Two roofs and two flats, whose specs have these values beside."""
    found: list[dict[str, Any]] = documents()
    for document in found[ROOF:]:
        document["spec"] |= of_all
    return found


def ran(manifests: list[dict[str, Any]], **how: Any) -> wattmesh.Results:
    results = wattmesh.Study.from_manifests(manifests).run(progress=False, **how)
    assert results.audit().findings == ()
    return results


def same_books(one: wattmesh.Results, other: wattmesh.Results) -> bool:
    return all(getattr(one, name).equals(getattr(other, name)) for name in ("readings", "contracts", "ledger"))


# --- good ones ---


def test_what_a_strategy_sees_does_not_change_and_covers_a_day_and_a_half() -> None:
    seen: list[wattmesh.StrategyView] = []

    def watching(view: wattmesh.StrategyView) -> object:
        seen.append(view)
        return plugged.fair(view)

    results = ran(street(strategy=watching))
    (book,) = read_books(results.state)
    hash(seen[-1])  # all of it is frozen
    of_roof = [view for view in seen if view.household == ROOF_0]
    for view in of_roof:
        assert [one.slot for one in view.ahead] == [view.slot + 900 * at for at in range(144)]
        assert {(one.price_micro_per_kwh, one.feed_in_micro_per_kwh) for one in view.ahead} == {(250_000, 80_000)}
        assert view.time.timestamp() == view.slot == view.now_slot + 900
        assert 0 <= view.expected_level_wh <= view.battery.capacity_wh == 6000
    levels = {row.slot: row.level_before_wh for row in book.readings if row.party == ROOF_0}
    assert {view.now_slot: view.level_wh for view in of_roof}.items() <= levels.items()
    told = {(one.slot, one.bought, one.partner, one.energy_wh) for view in of_roof for one in view.trades}
    booked = {
        (row.slot, row.side == "buyer", row.counterparty, row.energy_wh)
        for row in book.contracts
        if row.party == ROOF_0
    }
    assert len(told) > 20
    assert told <= booked


def test_an_asked_price_and_energy_hold_for_the_slot() -> None:
    contracts = ran(street(strategy=plugged.fair)).contracts
    sold = contracts[contracts["seller"].str.startswith("roof")]
    assert len(sold) > 20
    assert set(sold["state"]) == {"SETTLED"}
    assert set(sold["offered_micro_per_kwh"]) == {165_000}


def test_a_pricing_and_a_forecast_may_be_given_too() -> None:
    middle = wattmesh.Pricing(lambda view: view.middle_ask_micro_per_kwh, lambda view: view.most_bid_micro_per_kwh)

    class Flat:
        def __init__(self, *_: object) -> None:
            pass

        def expected(self, slot: int) -> wattmesh.SlotProfile:
            return wattmesh.SlotProfile(0, 100 + slot % 7)

    results = ran(street(strategy="rules", trading={"pricing": middle}, forecast=Flat))
    sold = results.contracts[results.contracts["seller"].str.startswith("roof")]
    assert set(sold["offered_micro_per_kwh"]) == {165_000}


@pytest.mark.parametrize("mechanism", [plugged.pairs, "uniform-price"])
def test_a_mechanism_may_be_given_too(mechanism: Any) -> None:
    of = ran(street(strategy=plugged.fair), mechanism=mechanism)
    assert of.contracts["seller"].str.startswith("roof").sum() > 5


@pytest.mark.parametrize("strategy", [plugged.fair, plugged.chancy])
@pytest.mark.filterwarnings("ignore::wattmesh.PluginWarning")
def test_devices_run_as_with_rules(strategy: Any) -> None:
    ev = {"plugged": {"from": "18:00", "to": "07:00"}, "needsKwh": 10, "chargerKw": 11}
    manifests = street(strategy=strategy, forecast="persistence")
    manifests[ROOF]["spec"]["ev"] = ev
    taken = ran(manifests, days=2).readings["load_wh"].max()
    assert taken >= 11_000 // 4


def test_a_device_needs_what_its_plugin_says() -> None:
    ev = {"plugged": {"from": "18:00", "to": "22:00"}, "needsKwh": 6, "chargerKw": 4, "plugin": plugged.trips}
    manifests = street()
    manifests[ROOF]["spec"]["ev"] = ev
    results = ran(manifests, days=3)  # from a Sunday on
    of_roof = results.devices[results.devices["party"] == ROOF_0]
    assert of_roof.groupby("begin")["taken_wh"].sum().tolist() == [0, 12_000, 6_000]
    assert same_books(results, ran(manifests, days=3))


# --- bad ones ---


@pytest.mark.parametrize(
    ("strategy", "what"),
    [
        (plugged.broken, r"broken~\w+ \(given in Python\) raised: ZeroDivisionError: at \d+, plugged\.py:\d+"),
        (plugged.wild, r"wild~\w+ .* answered nonsense: Sell\.energy_wh must be from 0 to"),
        (plugged.wordy, r"wordy~\w+ .* answered nonsense: it must be Buy"),
        (plugged.quits, r"quits~\w+ .* raised: SystemExit"),
    ],
)
def test_a_bad_strategy_holds_and_is_named(strategy: Callable[..., object], what: str) -> None:
    manifests = street()
    manifests[ROOF]["spec"]["strategy"] = strategy
    with pytest.warns(wattmesh.PluginWarning, match=what) as warned:
        results = ran(manifests)
    assert len(warned) == 1
    assert "for roof-0.default, slot 2026-06-21" in str(warned[0].message)
    sold = results.contracts[results.contracts["seller"].str.startswith("roof")]
    assert len(sold) == 0 or (strategy is plugged.broken and set(sold.index.hour) <= set(range(12)))


def test_a_bad_forecast_and_a_bad_pricing_hold_in_their_slots_only() -> None:
    manifests = street()
    manifests[ROOF]["spec"] |= {"strategy": "plan", "forecast": plugged.Oracle}
    manifests[FLAT]["spec"] |= {"strategy": "rules", "trading": {"pricing": plugged.TORN}}
    with pytest.warns(wattmesh.PluginWarning) as warned:
        results = ran(manifests)
    told = sorted(str(one.message) for one in warned)
    assert [text.partition(" ")[0] for text in told] == ["forecast", "pricing"]
    assert "Oracle" in told[0]
    assert "raised: LookupError: no weather for that slot" in told[0]
    assert "what is asked must be from" in told[1]
    contracts = results.contracts
    assert set(contracts[contracts["buyer"].str.startswith("flat")].index.hour) == set(range(12))
    assert not set(contracts[contracts["seller"].str.startswith("roof")].index.hour) & {18, 19, 20, 21, 22, 23}


def test_bad_plugins_leave_the_same_books_over_messages() -> None:
    manifests = street(forecast=plugged.Oracle)
    manifests[ROOF]["spec"]["strategy"] = plugged.broken
    with pytest.warns(wattmesh.PluginWarning) as warned:
        by_calls = ran(manifests)
    assert len(warned) == 2
    with pytest.warns(wattmesh.PluginWarning):
        by_messages = ran(manifests, over="messages")
    assert len(by_calls.contracts)
    for name in ("readings", "ledger"):
        assert getattr(by_calls, name).equals(getattr(by_messages, name))


def test_a_bad_mechanism_matches_nobody_and_is_named() -> None:
    with pytest.warns(wattmesh.PluginWarning, match=r"mechanism .*doubling.* answered nonsense: "):
        results = ran(street(), mechanism=plugged.doubling)
    assert not results.contracts["seller"].str.startswith("roof").any()


def test_a_slow_strategy_is_named_with_its_time_and_its_answers_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the stopwatch is 2 s after the one before.
    monkeypatch.setattr("wattmesh_cli.street.study.stopwatch", iter(range(0, 10**7, 2)).__next__)
    with pytest.warns(wattmesh.PluginWarning, match=r"fair.* is slow: it took 2\.0 s .*, and may take 1 s"):
        slow = ran(street(strategy=plugged.fair))
    monkeypatch.setattr("wattmesh_cli.street.study.stopwatch", time.perf_counter)
    assert same_books(slow, ran(street(strategy=plugged.fair)))


# --- sweeps, processes ---


def test_a_sweep_compares_strategies_in_processes() -> None:
    study = wattmesh.Study.from_manifests(documents())
    values = {"solaragent/roof.spec.strategy": ["rules", "plan", plugged.fair]}
    table = wattmesh.sweep(study, values, executor=2, progress=False)
    assert (table["findings"] == 0).all()
    names = table[table["party"] == "community"]["solaragent/roof.spec.strategy"]
    assert [name.partition("~")[0] for name in names] == ["rules", "plan", "tests.world.plugged:fair"]


@pytest.mark.filterwarnings("ignore::wattmesh.PluginWarning")
def test_a_feeder_in_another_process_knows_what_was_given_and_holds_in_the_same_slots() -> None:
    manifests = street(strategy=plugged.fair, forecast=plugged.Oracle)
    manifests[FLAT]["spec"]["strategy"] = "plan"
    other = [{**one, "metadata": {"name": f"{one['metadata']['name']}-b"}} for one in manifests[1:]]
    for document in other:
        document["spec"] = {**document["spec"], "feeder": "side"}
    there = ran([*manifests, *other], jobs=2)
    assert same_books(there, ran([*manifests, *other]))


def test_what_no_process_can_be_handed_is_refused_before_anything_runs() -> None:
    study = wattmesh.Study.from_manifests(documents())
    with pytest.raises(ValueError, match=r"cannot be pickled .* define it at the top of a module, or use one process"):
        wattmesh.sweep(
            study, {"solaragent.spec.strategy": [lambda view: plugged.fair(view)]}, executor=2, progress=False
        )


# --- installed ones, by command ---


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    module = "from tests.world.plugged import broken, fair"
    entries = {"wattmesh.strategies": {"fair": "fair_trade:fair", "broken": "fair_trade:broken"}}
    install(tmp_path, monkeypatch, entries, module, name="fair-trade")
    yield tmp_path
    monkeypatch.undo()
    look_again()


def command(folder: Path, name: str, strategy: str, *more: str) -> Any:
    text = wattmesh.Study.from_manifests(street(strategy="plan")).to_yaml().replace("plan", strategy)
    (folder / "street.yaml").write_text(text)
    return CliRunner().invoke(app, [name, str(folder / "street.yaml"), *more])


def test_commands_take_what_is_installed(installed: Path) -> None:
    assert command(installed, "validate", "fair").exit_code == 0
    state = str(installed / "state")
    done = command(installed, "simulate", "fair", "--state", state, "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert wattmesh.Results(state).ledger.equals(ran(street(strategy=plugged.fair)).ledger)


def test_a_failed_plugin_is_named_with_its_distribution_and_is_exit_code_1(installed: Path) -> None:
    done = command(installed, "simulate", "broken", "--state", str(installed / "state"), "--jobs", "1")
    assert done.exit_code == 1
    assert "strategy broken (fair-trade 1.2) raised: ZeroDivisionError" in " ".join(done.output.split())


@pytest.mark.parametrize("name", ["validate", "simulate", "up"])
def test_an_unknown_name_is_refused_with_what_is_installed(installed: Path, name: str) -> None:
    refused = command(installed, name, "fare")
    assert refused.exit_code == (1 if name == "validate" else 2)
    text = " ".join(refused.output.split())
    assert "SolarAgent roof: spec.strategy no strategy 'fare'" in text.replace("spec.strategy:", "spec.strategy")
    assert "chat, plan, rules, broken (fair-trade 1.2), fair (fair-trade 1.2). Install the package" in text


def test_a_run_is_read_where_its_plugin_is_not_installed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = str(installed / "state")
    assert command(installed, "simulate", "fair", "--state", state, "--jobs", "1").exit_code == 0
    monkeypatch.undo()
    look_again()
    results = wattmesh.Results(state)
    assert len(results.kpis) == 5
    assert results.audit().findings == ()
    again = CliRunner().invoke(app, ["simulate", "--state", state, "--days", "2"])
    assert again.exit_code == 2
    assert "no strategy 'fair'" in again.output
