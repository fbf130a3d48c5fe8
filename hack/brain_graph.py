"""Writes docs/brain.md: the graph that pods run, as LangGraph draws it."""

from __future__ import annotations

import sys
from pathlib import Path

from wattmesh_agents.brain import DECIDING
from wattmesh_agents.graph import build_graph

PAGE = Path(__file__).parents[1] / "docs" / "brain.md"


def page() -> str:
    """The page's text."""
    drawn = build_graph().compile().get_graph().draw_mermaid().strip()
    events = ", ".join(sorted(f"*{event}*" for event in DECIDING))
    return f"""# The brain

The LangGraph graph of a pod is built from the market's table of steps (`market/wattmesh_market/steps.py`). It runs
after {events}:
whatever else happens leads along the same table without it. `.venv/bin/python -m hack.brain_graph` writes this page,
and a test fails when it is not what the code says.

```mermaid
{drawn}
```
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
