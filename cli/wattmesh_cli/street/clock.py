"""Grid time of a street that may be stopped and go on: kept in the state directory's `clock.json`."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from wattmesh_cli.state import StateError
from wattmesh_cli.street.run import GridTime


def begin_or_go_on(path: Path, start: datetime, speed: float | None, default_speed: float, now: float) -> GridTime:
    """Grid time from now on: from where the last run stopped, or from `start` when there was none.

    Grid time stands still between runs. `now` is unix seconds of wall time; StateError when the file is unreadable.
    """
    if not path.exists():
        return GridTime(start, now, speed or default_speed)
    try:
        kept = json.loads(path.read_bytes())
        stopped_at = datetime.fromisoformat(kept["grid"])
        return GridTime(stopped_at, now, speed or float(kept["speed"]))
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{path}: must hold a JSON object with the grid time 'grid' and 'speed'") from None


def keep(path: Path, time: GridTime, now: float) -> None:
    """Write down how far grid time has come, whole or not at all."""
    new = path.with_suffix(".new")
    content = {
        "start": time.start.isoformat(),
        "epoch": time.epoch,
        "speed": time.speed,
        "grid": time.at(now).isoformat(),
    }
    with new.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
