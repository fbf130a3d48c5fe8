"""Plug-ins by entry point: found by name, loaded when they are needed, and never in place of what is built in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world.installed import install
from wattmesh_market.energy.devices.demand import devices
from wattmesh_market.energy.forecast import FORECASTS, forecasts
from wattmesh_market.mechanisms import mechanisms
from wattmesh_market.plugins import Catalog, Kind, Plugin, look_again
from wattmesh_market.pricing import pricings
from wattmesh_market.strategies import Hold, strategies

STRATEGIES = "wattmesh.strategies"

Install = Callable[..., None]


@pytest.fixture
def installing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    def of(entries: dict[str, dict[str, str]], module: str = "", name: str = "a-plugin") -> None:
        install(tmp_path / name, monkeypatch, entries, module, name=name)

    yield of
    monkeypatch.undo()
    look_again()


def catalog(built_in: dict[str, Any] | None = None) -> Catalog[Any]:
    """Strategies of which none was looked for yet; a plug-in is what it is."""
    return Catalog(Kind.STRATEGY, built_in or {}, lambda plugin: plugin)


def test_an_entry_point_is_found_by_its_name_and_says_where_it_is_from(installing: Install) -> None:
    installing({STRATEGIES: {"idle": "idle_one:decide"}}, "def decide(view): return 'held'", "idle-one")
    found = catalog()["idle"]
    assert str(found) == "strategy idle (idle-one 1.2)"
    assert found.target(None) == "held"


def test_it_is_loaded_when_it_is_first_named_and_once(installing: Install) -> None:
    installing({STRATEGIES: {"lazy": "lazy_one:decide", "other": "lazy_one:decide"}}, "decide = len", "lazy-one")
    of = catalog({"plan": "built in"})
    assert of["plan"] == "built in"
    assert "lazy_one" not in sys.modules
    assert of["lazy"] is of["lazy"]
    assert "lazy_one" in sys.modules


def test_what_is_built_in_is_never_shadowed_and_the_error_says_so(installing: Install) -> None:
    installing({STRATEGIES: {"plan": "nowhere:decide"}}, name="sly-one")
    of = catalog({"plan": "built in"})
    assert of["plan"] == "built in"
    with pytest.raises(ValueError, match=r"not taken, as the name is built in: plan of sly-one 1\.2"):
        of["plam"]


def test_two_of_one_name_are_refused_with_both_distributions(installing: Install) -> None:
    installing({STRATEGIES: {"lp": "one:decide"}}, name="lp-one")
    installing({STRATEGIES: {"lp": "two:decide"}}, name="lp-two")
    with pytest.raises(ValueError, match=r"strategy 'lp' is in lp-one 1\.2 and lp-two 1\.2: uninstall one of them"):
        catalog()["lp"]


def test_an_unknown_name_is_refused_with_what_is_installed(installing: Install) -> None:
    installing({STRATEGIES: {"idle": "idle:decide"}}, name="idle-two")
    with pytest.raises(ValueError, match=r"no strategy 'ideal'; there are: plan, idle \(idle-two 1\.2\)\. Install"):
        catalog({"plan": "built in"})["ideal"]


def test_one_that_cannot_be_loaded_is_named_with_the_cause(installing: Install) -> None:
    installing({STRATEGIES: {"lp": "broken_one:decide"}}, "import no_such_solver", "broken-one")
    with pytest.raises(ValueError, match=r"strategy lp \(broken-one 1\.2\) cannot be loaded .*'no_such_solver'"):
        catalog()["lp"]


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (strategies, "must be a function from StrategyView"),
        (pricings, "must have functions ask and bid"),
        (forecasts, "must be a class with expected"),
        (mechanisms, "must be a function from Orders"),
        (devices, "must be a function from DeviceWindow"),
    ],
)
def test_what_is_none_of_its_kind_is_refused(of: Catalog[Any], what: str, installing: Install) -> None:
    installing({of.kind.group: {"five": "five_one:five"}}, "five = 5", "five-one")
    with pytest.raises(ValueError, match=rf"{of.kind} five \(five-one 1\.2\) {what}"):
        of["five"]


def test_what_is_given_in_python_has_the_same_name_each_time_and_another_for_other_code() -> None:
    of = catalog()
    first, same, other = (of.give(_asking(limit)) for limit in (1, 1, 2))
    assert first == same != other
    assert of[first] == Plugin(Kind.STRATEGY, first, "given in Python", of[first].target)
    with pytest.raises(ValueError, match="given in Python, and is there only where the same program gives it"):
        of[first[:-1] + ("0" if first[-1] != "0" else "1")]


def test_instances_of_a_class_are_told_apart_by_their_values() -> None:
    of = catalog()
    names = {of.give(_Ask(limit)) for limit in (1, 2, 2)}
    assert len(names) == 2
    assert all(name.partition("~")[0].endswith(":_Ask") for name in names)


def _asking(limit: int) -> Callable[[object], object]:
    return lambda view: Hold() if view else limit


class _Ask:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, view: object) -> Hold:  # noqa: ARG002 - it holds whatever it sees
        return Hold()


def test_the_built_in_ones_are_there_without_a_look_at_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmesh_market.plugins.entry_points", lambda **_: pytest.fail("looked"))
    look_again()
    assert all(forecasts[name] is made for name, made in FORECASTS.items())
