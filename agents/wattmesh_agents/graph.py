"""The graph of the brain: the market's table of steps in LangGraph.

LangGraph takes seconds to import, so this module is imported by `brain` when it is needed, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from wattmesh_market.steps import STEPS, THEN, Event, Step, Trigger, Walker, next_step


class TradeState(TypedDict):
    """What has happened."""

    event: Event


@dataclass(frozen=True)
class RunContext:
    """Who runs the graph, and what about."""

    walker: Walker
    trigger: Trigger

    def next(self, event: Event) -> str:
        """The node that follows from an event."""
        step = next_step(self.walker, self.trigger._replace(event=event))
        return END if step is Step.HOLD else step.value


Graph = StateGraph[TradeState, RunContext, TradeState, TradeState]


def build_graph() -> Graph:
    """The graph, to be compiled: a node for each step, an edge for each row of the table."""
    graph: Graph = StateGraph(TradeState, context_schema=RunContext)
    steps = sorted(set(STEPS.values()) - {Step.HOLD})
    for one in steps:
        graph.add_node(one.value, _node(one))
    graph.add_conditional_edges(START, supervisor, [*steps, END])
    for step, event in THEN.items():
        after = sorted({to for (of, _), to in STEPS.items() if of is event} - {Step.HOLD})
        graph.add_conditional_edges(step.value, _after(event), [*after, END])
    return graph


@cache
def compiled() -> CompiledStateGraph[TradeState, RunContext, TradeState, TradeState]:
    """The graph, ready to run."""
    return build_graph().compile()


def run(walker: Walker, trigger: Trigger) -> None:
    """Do what follows from an event."""
    for _ in compiled().stream({"event": trigger.event}, context=RunContext(walker, trigger), stream_mode=[]):
        pass


def supervisor(state: TradeState, runtime: Runtime[RunContext]) -> str:
    """Look at the party's state; route to buy, sell or hold."""
    return runtime.context.next(state["event"])


def _node(step: Step) -> Any:  # a node to LangGraph: its types want a function with these very names
    def perform(state: TradeState, runtime: Runtime[RunContext]) -> None:  # noqa: ARG001 - LangGraph passes it
        runtime.context.walker.perform(step, runtime.context.trigger)

    return perform


def _after(event: Event) -> Callable[[TradeState, Runtime[RunContext]], str]:
    def route(state: TradeState, runtime: Runtime[RunContext]) -> str:  # noqa: ARG001 - LangGraph passes it
        return runtime.context.next(event)

    return route
