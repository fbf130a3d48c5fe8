"""The brain: a LangGraph graph built from the market's table of steps.

It runs where there is something to decide: a look at a slot, offers are in, an adviser has chosen, a quote is asked.
What else follows from a message is mechanical, and the table is walked without it. It remembers nothing: what it needs
to know of a trade stands in the party's books.
"""

from __future__ import annotations

from wattmesh_common.starting import importing
from wattmesh_market.steps import Event, Step, Trigger, Walker, next_step, walk

DECIDING = frozenset((Event.LOOK, Event.OFFERS_IN, Event.ADVISED, Event.QUOTE_ASKED))
"""Events after which the graph runs."""


def prepare() -> None:
    """Import LangGraph and build the graph before it is needed: that takes seconds. In a thread, others go on."""
    with importing():
        from wattmesh_agents import graph  # this is what takes the time

    graph.compiled()


def think(walker: Walker, trigger: Trigger) -> None:
    """Do what follows from an event: by the graph where there is something to decide, else along the table."""
    # Most looks lead nowhere (a full battery): the table alone can tell, much faster.
    if trigger.event not in DECIDING or next_step(walker, trigger) is Step.HOLD:
        walk(walker, trigger)
        return
    from wattmesh_agents import graph  # see `prepare`

    graph.run(walker, trigger)
