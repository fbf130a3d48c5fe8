"""A cluster of 100 to 10,000 households: what its operator takes, how soon it acts, and what its gateway bears.

The operator is the real one, over the API server in memory; gateway and one pod of households are the real processes;
all other pods are played by one process, and one of them hangs. All are reached by their names in the cluster, each at
a loopback address of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.tables import Measured

HOUSEHOLDS = (100, 1_000, 10_000)
_COLUMNS = {
    "households": "households",
    "registered_s": "all registered s",
    "api_writes": "API writes",
    "registry_writes": "registry writes",
    "resident_mb": "operator MB",
    "peak_mb": "peak MB",
    "idle_cpu_percent": "idle CPU %",
    "pass_ms": "idle pass ms",
    "idle_reads": "idle API reads/min",
    "idle_writes": "idle writes",
    "status_kb": "largest status kB",
    "scale_s": "one more household s",
    "heal_s": "Service healed s",
    "lookups_per_s": "look-ups/s",
    "first_offer_ms": "first offer p50 ms",
    "first_offer_p99_ms": "p99 ms",
}


def measure() -> Iterator[Measured]:
    """A row for each size."""
    yield Measured("scale", [*_COLUMNS.values()], [_row(households) for households in HOUSEHOLDS], page="scale.md")


def _row(households: int) -> list[str]:
    command = [sys.executable, "-m", "bench.scale.operator", str(households)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(answer.stdout)
    return [f"{found[name]:,}" for name in _COLUMNS]
