"""A day in memory: `wattmesh simulate` of 10, 100 and 1,000 households.

Every ten households are a feeder of their own, that of examples/street.yaml, so that each hears the same searches in a
town as in a street, and the cost of a contract should stay the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench.memory import resident_mb
from bench.tables import Measured

STREET = Path(__file__).parents[1] / "examples" / "street.yaml"
GOALS_S = {10: 1.5, 1000: 60.0}
_A_FEEDER = 10
_SAMPLE_S = 0.2


def measure() -> Measured:
    """A row for each size; 100 households with one process and with one a core, to see what these gain."""
    cores = os.cpu_count() or 1
    rows = []
    for households, jobs in ((10, 1), (100, 1), (100, cores), (1000, cores)):
        rows.append(_row(households, jobs))
        sys.stderr.write(f"{', '.join(rows[-1])}\n")  # the last one takes a while
    columns = ["households", "processes", "s", "goal s", "contracts", "ms per contract", "findings", "memory MB"]
    return Measured("days", columns, rows)


def town(feeders: int) -> Iterator[dict[str, Any]]:
    """The resources of a town: one gateway, and the agents of examples/street.yaml on each feeder."""
    resources = list(yaml.safe_load_all(STREET.read_text(encoding="utf-8")))
    for gateway in (one for one in resources if one["kind"] == "BecknGateway"):
        gateway["spec"]["clock"]["start"] = gateway["spec"]["clock"]["start"].isoformat()
        yield gateway
    for number in range(feeders):
        for agent in resources:
            if agent["kind"] != "BecknGateway":
                name = f"{agent['metadata']['name']}-{number}"
                yield agent | {"metadata": {"name": name}, "spec": agent["spec"] | {"feeder": f"feeder-{number}"}}


def _row(households: int, jobs: int) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        manifests = Path(folder) / "town.yaml"
        manifests.write_text(yaml.safe_dump_all(town(households // _A_FEEDER)), encoding="utf-8")
        state = str(Path(folder) / "state")
        arguments = ["-f", str(manifests), "--state", state, "--jobs", str(jobs), "--output", "json"]
        command = [str(Path(sys.executable).with_name("wattmesh")), "simulate", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        most_mb = 0.0
        while process.poll() is None:
            most_mb = max(most_mb, sum(map(resident_mb, _family(process.pid))))
            time.sleep(_SAMPLE_S)
        output, _ = process.communicate()
    day = json.loads(output)
    goal_s = GOALS_S.get(households)
    return (
        f"{households:,}",
        str(jobs),
        f"{day['wall_s']:.1f}",
        "-" if goal_s is None else f"{goal_s:g}",
        f"{day['contracts']:,}",
        f"{1000 * day['wall_s'] / day['contracts']:.1f}",
        str(len(day["findings"])),
        f"{most_mb:.0f}",
    )


def _family(pid: int) -> list[int]:
    """A process and its children, as far as they are still there."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *map(int, children)]
