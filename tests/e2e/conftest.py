"""One cluster for all: `make e2e` has made it and installed the chart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.e2e.killing import OPERATOR_PODS, kill_process, the_pod
from tests.e2e.kube import Kube, close_forwards, until
from tests.e2e.market import SYSTEM, open_lane, open_street
from tests.e2e.rotating import HOUSEHOLDS, Rotation, ask_for_new_keys, before_rotation, ends, has_new_keys

SIDE_BY_SIDE = {
    "street": ("applied", "rotated", "live", "rights", "deleted", "retired"),
    "avenue": ("scaled", "recovery", "chaos", "audited"),
    "shared": ("replicas",),
    "drill": ("restored",),
    "alley": ("grid_time", "left"),
    "lane": ("pod_template", "clashes"),
    "spoken": ("protocols",),
    "village": ("plugged", "refused", "references"),
}
"""Which tests go on one after the other, four rows at a time: they share a market, or have one of their own.

Former keys end some minutes after `rotated`. Until `retired` no buyer is new to the street: who searches before it is
registered is refused, and `retired` counts that.
"""
ALONE = ("measured", "rolled_out", "plugged", "chaos", "operators", "audited", "large", "uninstalled")
"""What disturbs others, or is disturbed by them, comes after all these, one after the other: tests marked `alone`."""

_ROWS = {name: row for row, names in SIDE_BY_SIDE.items() for name in names}
FIGURES = pytest.StashKey[list[str]]()
_RUN = "e2e-run"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.parent.name == "e2e"]
    others = [item for item in items if item.path.parent.name != "e2e"]
    together = [*_ROWS]

    def place(item: pytest.Item) -> tuple[bool, int]:
        alone, name = item.get_closest_marker("alone") is not None, item.path.stem.removeprefix("test_")
        return alone, (ALONE if alone else together).index(name)

    items[:] = others + sorted(ours, key=place)


class Rows(LoadScopeScheduling):  # type: ignore[misc] # without types
    """Has a process for each row."""

    def _split_scope(self, nodeid: str) -> str:
        return _ROWS[Path(nodeid.partition("::")[0]).stem.removeprefix("test_")]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Rows(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    close_forwards()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash[FIGURES]


def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a process of xdist, which has ended; none if it was killed."""
    node.config.stash[FIGURES] += getattr(node, "workeroutput", {}).get("figures", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash[FIGURES]:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> list[str]:
    """What is told at the end and not asserted."""
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def cluster() -> Kube:
    """The cluster, at the namespace of the operator."""
    context = os.environ.get("E2E_CONTEXT")
    if not context:
        pytest.fail("these tests need a cluster of their own: run `make e2e`", pytrace=False)
    return Kube(context, SYSTEM)


def opened(kube: Kube, open_market: Callable[[Kube], None]) -> Kube:
    """A namespace with its market, as this run of `make e2e` has left it, or a new one."""
    run = os.environ["E2E_RUN"]
    told = {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in kube.list("namespaces")}
    if told.get(kube.namespace, {}).get(_RUN) != run:
        kube.make()
        open_market(kube)
        kube("annotate", "namespace", kube.namespace, f"{_RUN}={run}")
    return kube


@pytest.fixture(scope="session")
def street(cluster: Kube) -> Kube:
    """A market, a utility, a roof and three flats."""
    return opened(cluster.of("street"), open_street)


@pytest.fixture(scope="session")
def avenue(cluster: Kube) -> Kube:
    """The same again, for other tests at the same time."""
    return opened(cluster.of("avenue"), open_street)


@pytest.fixture(scope="session")
def lane(cluster: Kube) -> Kube:
    """A smaller market: a seller, a buyer and a utility."""
    return opened(cluster.of("lane"), open_lane)


@pytest.fixture(scope="session")
def alley(cluster: Kube) -> Kube:
    """The same again, for what leaves its mark on the books."""
    return opened(cluster.of("alley"), open_lane)


@pytest.fixture(scope="session")
def rotation(street: Kube, cluster: Kube) -> Rotation:
    """A rotation of the keys of flats and roofs, whose operator was killed as soon as the first Secret had changed."""
    before, operator = before_rotation(street), the_pod(cluster, OPERATOR_PODS)
    ask_for_new_keys(street, "1")
    until("a Secret has new keys", lambda: any(has_new_keys(item, "1") for item in street.list("secrets", HOUSEHOLDS)))
    kill_process(operator)
    assert not ends(street, before), "it was done before the operator was killed"
    return before
