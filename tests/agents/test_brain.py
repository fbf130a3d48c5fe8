"""The graph is the table: the same events lead to the same steps, with LangGraph or without."""

from __future__ import annotations

import pytest

from hack.brain_graph import PAGE, page
from wattmesh_agents.brain import DECIDING, think
from wattmesh_market.steps import STEPS, THEN, Event, Situation, Step, Trigger, walk


class Recorder:
    """A walker that finds itself in given situations and writes down the steps it is led to."""

    def __init__(self, situations: dict[Event, Situation]) -> None:
        self.situations = situations
        self.steps: list[Step] = []

    def situation(self, trigger: Trigger) -> Situation:
        return self.situations[trigger.event]

    def perform(self, step: Step, trigger: Trigger) -> None:  # noqa: ARG002 - any trigger
        self.steps.append(step)


@pytest.mark.parametrize("after", [situation for event, situation in STEPS if event is Event.CHECK])
@pytest.mark.parametrize(("event", "situation"), STEPS)
def test_the_graph_takes_the_steps_of_the_table(event: Event, situation: Situation, after: Situation) -> None:
    situations = {Event.CHECK: after} | {event: situation}
    by_table, by_graph = Recorder(situations), Recorder(situations)
    walk(by_table, Trigger(event, "t"))
    think(by_graph, Trigger(event, "t"))
    assert by_graph.steps == by_table.steps
    first = STEPS[event, situation]
    if first is Step.HOLD:
        assert by_table.steps == []
    elif first in THEN and event is not Event.CHECK:
        following = STEPS[Event.CHECK, after]
        assert by_table.steps == ([first] if following is Step.HOLD else [first, following])
    else:
        assert by_table.steps == [first]


def test_it_runs_where_there_is_something_to_decide_only(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[Event] = []
    monkeypatch.setattr("wattmesh_agents.graph.compiled", lambda: pytest.fail("not a decision"))
    for event, situation in STEPS:
        if event not in DECIDING or STEPS[event, situation] is Step.HOLD:
            think(Recorder({Event.CHECK: Situation.UNDER_WAY} | {event: situation}), Trigger(event, "t"))
            run.append(event)
    assert Event.AGREED in run


def test_the_page_shows_the_graph_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: .venv/bin/python -m hack.brain_graph"
