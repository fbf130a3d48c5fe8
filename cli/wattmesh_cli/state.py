"""The state directory of a local run: `agents/<pod>.db` for each runtime, `gateway.db`, `clock.json`.

That of a simulation has no `gateway.db`, and `simulation.json` and `snapshots` (see `street.snapshots`) besides; by
calls it has `agents/<feeder>.db` for each feeder.
"""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path

from wattmesh_cli.books import BooksError

DEFAULT_STATE = Path(".wattmesh")
SIMULATION = "simulation.json"


class Over(StrEnum):
    """How the parties of a simulation talk to each other."""

    CALLS = "calls"
    MESSAGES = "messages"


class StateError(BooksError):
    """The state directory, or a file in it, cannot be used. The message is one line for the user."""


def is_simulation(state: Path) -> bool:
    """Whether a state directory is a simulation's."""
    return (state / SIMULATION).exists()


def agent_databases(state: Path) -> list[Path]:
    """The databases by name; StateError when there are none."""
    if not state.is_dir():
        what = "is not a directory" if state.exists() else "there is no such directory"
        raise StateError(f"{state}: {what}; 'wattmesh up' makes it, --state names another")
    databases = sorted((state / "agents").glob("*.db"))
    if not databases:
        raise StateError(f"{state}: no agents/*.db in it; 'wattmesh up' makes them, --state names another directory")
    return databases


def street_zone(state: Path) -> tzinfo:
    """The street's time zone, as the run's start gives it; StateError when `clock.json` does not say it."""
    path = state / "clock.json"
    try:
        start = datetime.fromisoformat(json.loads(path.read_bytes())["start"])
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{path}: must hold a JSON object with the grid time 'start'") from None
    if start.tzinfo is None:
        raise StateError(f"{path}: 'start' needs a time zone")
    return start.tzinfo
