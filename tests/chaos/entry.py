"""What runs in each process: the container's entry point, `python -m`, with a hook at its fault points.

The processes are forked from one that has the imports done (multiprocessing's fork server), so that a life costs
milliseconds to begin and a run has time for many.
"""

from __future__ import annotations

import mmap
import os
import runpy
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.schedule import Fatal

PRELOADED = (
    "tests.chaos.entry", "uvicorn", "uvicorn.protocols.http.httptools_impl", "uvloop", "wattmesh_agents.app",
    "wattmesh_agents.graph", "wattmesh_gateway.app",
)  # fmt: skip
"""What the entry points import, but for themselves: those are run anew in each life."""


@dataclass(frozen=True)
class Life:
    """How to run once. `command` is what comes after `python -m`.

    Both the log and the fault points reached are told through unix sockets that listen at `log` and `told`. `clock` is
    a file with the offset of the process's clock, a double, in seconds.
    """

    command: tuple[str, ...]
    folder: Path
    log: Path
    told: Path
    clock: Path
    fatal: Fatal | None


def live(life: Life) -> None:
    """Run until killed, or until the entry point ends."""
    output = _connect(life.log)
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    os.chdir(life.folder)
    os.environ["LOG_FORMAT"] = "json"
    _shift_clock(life.clock)
    _watch_fault_points(_connect(life.told), life.fatal)
    module, *arguments = life.command
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def _shift_clock(path: Path) -> None:
    with path.open("r+b") as file:
        offset = mmap.mmap(file.fileno(), 8)
    real = time.time
    time.time = lambda: real() + struct.unpack_from("d", offset)[0]


def _watch_fault_points(told: socket.socket, fatal: Fatal | None) -> None:
    born, times = time.monotonic(), 0

    def reached(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal times
        if not event.startswith("wattmesh."):
            return
        point, occasion = str(event), arguments[0]
        told.sendall(f"reached {point} {occasion}\n".encode())
        if fatal is None or (fatal.point, fatal.occasion) != (point, occasion):
            return
        if time.monotonic() - born < fatal.after_s:
            return
        times += 1
        if times == fatal.nth:
            told.sendall(f"killed {point} {occasion}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(reached)
