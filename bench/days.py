"""Studies in memory: `wattmesh simulate` of 10 to 1,000 households, beside ASSUME; and how long a year's report opens.

Every ten households are a feeder of their own, that of examples/street.yaml, so that each hears the same searches in a
town as in a street, and the cost of a delivery should stay the same.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from bench.assume_runs import VERSION, AssumeUnavailable, assume_day
from bench.report_page import open_s
from bench.resident import peak_resident_mb
from bench.tables import Measured
from wattmesh_cli.output import FOUND

STREET = Path(__file__).parents[1] / "examples" / "street.yaml"
WATTMESH = str(Path(sys.executable).with_name("wattmesh"))
ASSUME_GOAL = 5.0
REPORT_GOAL_S = 3.0
_A_FEEDER = 10
_SAMPLE_S = 0.05
_MOST_RUNS, _REPEAT_FOR_S = 5, 15.0

T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """What is simulated, and the goals for it."""

    households: int
    days: int
    goal_s: float
    goal_mb: float | None = None

    def __str__(self) -> str:
        return f"{self.households:,} households × {self.days} {'day' if self.days == 1 else 'days'}"


STREET_DAY = Size(10, 1, goal_s=0.1)
STREET_YEAR = Size(10, 365, goal_s=40)
HUNDRED_DAY = Size(100, 1, goal_s=0.8)
TOWN_DAY = Size(1000, 1, goal_s=10, goal_mb=300)


@dataclass(frozen=True)
class Study:
    """One run of `wattmesh simulate`. `cpu_s` and `wall_s` are of the run with its saves.

    `process_cpu_s` is of the whole process: start-up of Python, reading of manifests and the audit come on top.
    """

    cpu_s: float
    process_cpu_s: float
    wall_s: float
    deliveries: int
    findings: int
    peak_mb: float

    def row(self, size: Size) -> tuple[str, ...]:
        """A row of the table."""
        return (
            str(size),
            f"{self.cpu_s:.2f}",
            f"{size.goal_s:g}",
            f"{self.process_cpu_s:.2f}",
            f"{self.wall_s:.2f}",
            f"{self.deliveries:,}",
            f"{1000 * self.cpu_s / self.deliveries:.2f}" if self.deliveries else "-",
            str(self.findings),
            f"{self.peak_mb:.0f}",
            "-" if size.goal_mb is None else f"{size.goal_mb:g}",
        )


def measure() -> Iterator[Measured]:
    """The comparison with ASSUME, the studies from the shortest to the longest, and the report of the longest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = {size: _shown(size, folder) for size in (STREET_DAY, HUNDRED_DAY)}
        yield _beside_assume(small)
        large = {size: _shown(size, folder) for size in (TOWN_DAY, STREET_YEAR)}
        columns = [
            "study", "CPU s", "goal CPU s", "CPU s, whole process", "wall s", "deliveries", "CPU ms per delivery",
            "findings", "memory MB", "goal MB",
        ]  # fmt: skip
        yield Measured("days", columns, [study.row(size) for size, study in {**small, **large}.items()])
        yield _report(STREET_YEAR, folder)


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


def _shown(size: Size, folder: Path) -> Study:
    """The median study of a size, told as soon as it is measured: the longer ones take a while."""
    study = _median(partial(_study, size, folder), lambda study: study.cpu_s)
    sys.stderr.write(f"{', '.join(study.row(size))}\n")
    return study


def _median(run: Callable[[], T], seconds: Callable[[T], float]) -> T:
    """The median of up to five runs; what takes long runs once."""
    began = time.monotonic()
    runs = [run()]
    while len(runs) < _MOST_RUNS and time.monotonic() - began < _REPEAT_FOR_S:
        runs.append(run())
    median_s = statistics.median_low(map(seconds, runs))
    return next(run for run in runs if seconds(run) == median_s)


# --- wattmesh ---


def _study(size: Size, folder: Path) -> Study:
    """Run a study in a process of its own, from its start. Its state stays until the next one of the same size."""
    manifests, state = _manifests(size, folder), _state(size, folder)
    manifests.write_text(yaml.safe_dump_all(town(size.households // _A_FEEDER)), encoding="utf-8")
    shutil.rmtree(state, ignore_errors=True)
    options = ["--days", str(size.days), "--jobs", "1", "--output", "json"]
    command = [WATTMESH, "simulate", "-f", str(manifests), "--state", str(state), *options]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output)
        peak_mb, ended = 0.0, 0
        while not ended:
            time.sleep(_SAMPLE_S)
            peak_mb = max(peak_mb, peak_resident_mb(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, FOUND):
            raise SystemExit(f"wattmesh simulate ended with {process.returncode}")
        output.seek(0)
        said = json.load(output)
    return Study(
        cpu_s=said["cpu_s"],
        process_cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=said["wall_s"],
        deliveries=said["deliveries"],
        findings=len(said["findings"]),
        peak_mb=peak_mb,
    )


def _manifests(size: Size, folder: Path) -> Path:
    return folder / f"{size.households}-{size.days}.yaml"


def _state(size: Size, folder: Path) -> Path:
    return folder / f"{size.households}-{size.days}"


# --- beside it ---


def _beside_assume(studies: dict[Size, Study]) -> Measured:
    """Studies of a day beside ASSUME's. Where ASSUME cannot be had, the table says so."""
    columns = [
        "day of", "clearings", f"CPU s, ASSUME {VERSION}", "CPU s, wattmesh", "times faster", "goal",
    ]  # fmt: skip
    rows = []
    for size, study in studies.items():
        for batteries in (False, True):
            name = f"{size.households} households, ASSUME {'with' if batteries else 'without'} batteries"
            ours = f"{study.cpu_s:.2f}"
            try:
                day = _median(partial(assume_day, size.households, batteries=batteries), lambda day: day.cpu_s)
            except AssumeUnavailable as error:
                sys.stderr.write(f"{error}\n")
                rows.append((name, "-", "not available", ours, "-", f"{ASSUME_GOAL:g}"))
                continue
            faster = f"{day.cpu_s / study.cpu_s:.2g}"
            rows.append((name, str(day.clearings), f"{day.cpu_s:.2f}", ours, faster, f"{ASSUME_GOAL:g}"))
    return Measured("assume", columns, rows)


def _report(size: Size, folder: Path) -> Measured:
    """The report of a study that was run: how large it is, and how long Chromium takes to show it."""
    page = folder / "report.html"
    command = [WATTMESH, "report", "-f", str(_manifests(size, folder)), "--state", str(_state(size, folder))]
    began = time.monotonic()
    subprocess.run([*command, "--save", str(page)], check=True, stdout=subprocess.DEVNULL)
    written_s = time.monotonic() - began
    try:
        opened = f"{open_s(page):.1f}"
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        opened = "no Chromium"
    row = (str(size), f"{written_s:.1f}", f"{page.stat().st_size / 10**6:.1f}", opened, f"{REPORT_GOAL_S:g}")
    return Measured("report", ["report of", "written in s", "MB", "opens in s", "goal s"], [row])
