"""What a contract takes of a live street: statements on rows, and runs of the graph."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from tests.world.manifests import EXAMPLES, planned
from wattmesh_agents import graph as graphs
from wattmesh_agents.store.database import Database
from wattmesh_cli.street.feeder_run import FeederRun
from wattmesh_cli.street.feeders import by_feeder

SLOTS = 48
MOST_ROW_STATEMENTS = 60
MOST_GRAPH_RUNS = 4


def test_a_contract_takes_few_statements_and_runs_of_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    graph = graphs.compiled()

    class Counting:
        def stream(self, *values: Any, **how: Any) -> Any:
            seen["runs"] += 1
            return graph.stream(*values, **how)

    def note(statement: str) -> None:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE)\b", statement):
            seen["statements"] += 1

    open_database = Database.open

    def opened(*place: Any, **how: Any) -> Database:
        database = open_database(*place, **how)
        database.connection.set_trace_callback(note)
        return database

    monkeypatch.setattr(graphs, "compiled", Counting)
    monkeypatch.setattr(Database, "open", opened)
    # What is reported and shared slot by slot is no part of a contract.
    street = (
        (EXAMPLES / "street.yaml").read_text(encoding="utf-8").replace("capacityKw:", "sharing: none\n  capacityKw:")
    )
    [feeder] = by_feeder(planned(street))
    run = FeederRun(feeder, seed=0)
    for number in range(SLOTS):
        run.run_slot(number, SLOTS)
    run.settle(SLOTS)
    contracts = 0
    for database in run._databases.values():
        database.connection.set_trace_callback(None)
        bought = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
        contracts += database.connection.execute(bought).fetchone()[0]
    run.close()
    assert contracts > 100
    assert seen["statements"] / contracts <= MOST_ROW_STATEMENTS
    assert seen["runs"] / contracts <= MOST_GRAPH_RUNS
