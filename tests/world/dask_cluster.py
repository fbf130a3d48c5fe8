"""A Dask cluster of this machine, in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from wattmesh_cli.street.local import listen


class DaskCluster(NamedTuple):
    """What a study is given as its scheduler, and the processes."""

    address: str
    scheduler: subprocess.Popen[str]
    workers: tuple[subprocess.Popen[str], ...]


@contextmanager
def dask_cluster(workers: int = 2) -> Iterator[DaskCluster]:
    """With so many workers, which nobody starts again when they end."""
    with listen() as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with ExitStack() as stack:
        scheduler = stack.enter_context(_process("scheduler", "--host", address))
        worker = ("worker", f"tcp://{address}", "--nthreads", "1", "--no-nanny")
        yield DaskCluster(
            f"tcp://{address}", scheduler, tuple(stack.enter_context(_process(*worker)) for _ in range(workers))
        )


@contextmanager
def _process(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments, "--no-dashboard"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
