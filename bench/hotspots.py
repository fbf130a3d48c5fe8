"""Where the time of trading goes: the street of examples/street.yaml in memory for some hours, under a profiler.

The profiler makes what calls much look dearer than it is, so shares are rough. Time in C code counts for the library
that called it.
"""

from __future__ import annotations

import cProfile
import pstats
import re
from collections import Counter
from datetime import timedelta
from typing import Any

from bench.days import STREET
from bench.tables import Measured
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

HOURS = 12
_PARTS = (
    ("LangGraph, with its threads", r"site-packages/(langgraph|langchain)|/(threading|concurrent|contextvars|inspect)"),
    ("pydantic: messages made and checked", r"site-packages/pydantic|wattmesh_beckn/(messages|context|units)"),
    ("signatures", r"wattmesh_beckn/signature|site-packages/cryptography"),
    ("store: SQLite and rows", r"wattmesh_agents/store|sqlite3"),
    ("parties, energy, market", r"wattmesh_agents/"),
    ("receiving and sending", r"wattmesh_beckn/|wattmesh_gateway/"),
    ("event loop", r"/asyncio/|async_solipsism"),
)
_OTHER = "other"


def measure() -> list[Measured]:
    """A row for each part, the largest first."""
    [street] = plan(load([str(STREET)]))
    end = street.resource.spec.clock.start + timedelta(hours=HOURS)
    simulate(lambda: run_in_memory(street, street.resource.spec.clock.start + timedelta(minutes=15))).close()  # imports
    profile = cProfile.Profile()
    profile.enable()
    run = simulate(lambda: run_in_memory(street, end))
    profile.disable()
    run.close()
    seconds = _by_part(pstats.Stats(profile))
    total = sum(seconds.values())
    rows = [(part, f"{100 * spent / total:.0f} %") for part, spent in seconds.most_common()]
    return [Measured("hotspots", ["part", "share of the time"], rows)]


def _by_part(stats: Any) -> Counter[str]:
    seconds: Counter[str] = Counter()
    for (file, *_), (_, _, own_s, _, callers) in stats.stats.items():
        if file.startswith(("~", "<")):
            for (caller, *_), (_, _, own_for_caller_s, _) in callers.items():
                seconds[_part(caller)] += own_for_caller_s
        else:
            seconds[_part(file)] += own_s
    return seconds


def _part(file: str) -> str:
    return next((part for part, pattern in _PARTS if re.search(pattern, file)), _OTHER)
