"""Grid time of a street that may be stopped and go on: kept in the state directory's `clock.json`."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from math import ceil
from pathlib import Path

from wattmesh_cli.state import StateError, write_whole
from wattmesh_common.clock import rfc3339

log = logging.getLogger(__name__)


def resumed(path: Path, start: datetime, now: float, books_reach: int | None) -> datetime:
    """Where grid time goes on: from where it was kept, but never behind the books; `start` for a new street.

    `now` is unix seconds of wall time, `books_reach` the first slot (unix seconds of grid time) that no party has
    metered yet. Grid time stands still between runs. StateError when the file is unreadable, and when wall time is
    behind the last run: its messages are dated later.
    """
    grid = start
    try:
        if path.exists():
            kept = json.loads(path.read_bytes())
            grid = datetime.fromisoformat(kept["grid"]).astimezone(start.tzinfo)
            last = float(kept["wall"])
            if now < last:
                raise StateError(
                    f"{path}: this street ran until {rfc3339(last)}, but this machine's clock says {rfc3339(now)}; "
                    f"set it right, or wait {ceil(last - now)} s"
                )
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{path}: must hold a JSON object with 'grid' and 'wall' time; delete it") from None
    if books_reach is None or grid.timestamp() >= books_reach:
        return grid
    reached = datetime.fromtimestamp(books_reach, start.tzinfo)
    log.warning("the clock stands at %s, the books reach %s: grid time goes on from there", grid, reached)
    return reached


def keep(path: Path, grid: datetime, wall: float) -> None:
    """Write down how far grid time and wall time (unix seconds) have come, whole or not at all."""
    write_whole(path, json.dumps({"grid": grid.isoformat(), "wall": wall}))
