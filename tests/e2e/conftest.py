"""One cluster for all: `make e2e` has made it and installed the chart."""

from __future__ import annotations

import os

import pytest

from tests.e2e.killing import OPERATOR_PODS, kill_process, the_pod
from tests.e2e.kube import Kube, close_forwards, until
from tests.e2e.market import SYSTEM, open_lane, open_street
from tests.e2e.rotating import HOUSEHOLDS, Rotation, ask_for_new_keys, before_rotation, ends, has_new_keys

ORDER = (
    *(
        "applied",
        "scaled",
        "rolled_out",
        "recovery",
        "rotated",
        "refused",
        "references",
        "live",
        "rights",
        "deleted",
        "pod_template",
        "clashes",
        "grid_time",
        "left",
        "retired",
        "measured",
        "restored",
    ),
    *("chaos", "audited", "protocols", "plugged", "replicas", "large", "uninstalled"),
)
"""The tests share a street, so that it is not made for each of them; the last ones take it apart.

Keys that are rotated at first are retired some minutes later."""

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [f"test_{name}" for name in ORDER]
    ours = [item for item in items if item.path.parent.name == "e2e"]
    others = [item for item in items if item.path.parent.name != "e2e"]
    items[:] = others + sorted(ours, key=lambda item: names.index(item.path.stem))


def pytest_sessionfinish() -> None:
    close_forwards()


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


@pytest.fixture(scope="session")
def street(cluster: Kube) -> Kube:
    """A namespace that enforces restricted Pod Security, with a market, a utility, a roof and three flats."""
    kube = cluster.of("street")
    kube("delete", "namespace", "street", "--ignore-not-found", timeout_s=180)
    open_street(kube)
    return kube


@pytest.fixture(scope="session")
def lane(cluster: Kube) -> Kube:
    """Another market, for what would leave its mark on the books of the street: a seller, a buyer and a utility."""
    kube = cluster.of("lane")
    kube("delete", "namespace", "lane", "--ignore-not-found", timeout_s=180)
    open_lane(kube)
    return kube


@pytest.fixture(scope="session")
def rotation(street: Kube, cluster: Kube) -> Rotation:
    """A rotation of the keys of flats and roofs, whose operator was killed as soon as the first Secret had changed."""
    before, operator = before_rotation(street), the_pod(cluster, OPERATOR_PODS)
    ask_for_new_keys(street, "1")
    until("a Secret has new keys", lambda: any(has_new_keys(item, "1") for item in street.list("secrets", HOUSEHOLDS)))
    kill_process(operator)
    assert not ends(street, before), "it was done before the operator was killed"
    return before
