"""Where the parts of a study run: in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from wattmesh_cli.state import StateError

P = ParamSpec("P")
T = TypeVar("T")

SCHEDULER_S = 10.0
"""How long a Dask scheduler may take to answer."""


class SimulationError(StateError):
    """A study cannot go on. The message is one line for the user."""


@contextmanager
def executor_of(jobs: int, scheduler: str | None) -> Iterator[Executor | None]:
    """Processes of this machine, or where `scheduler` names a Dask scheduler its cluster; None for one job.

    SimulationError when it cannot begin, or loses what it runs on.
    """
    if scheduler is not None:
        try:
            # By name: the package is there only with the extra.
            distributed: Any = import_module("distributed")
        except ImportError:
            raise SimulationError("--scheduler needs Dask: pip install 'wattmesh[dask]'") from None
        try:
            client = distributed.Client(scheduler, timeout=SCHEDULER_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SimulationError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            yield DaskExecutor(client, scheduler, distributed.KilledWorker)
    elif jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
            try:
                yield executor
            except BrokenProcessPool:
                raise _cannot_go_on("a worker process ended; was there memory enough?") from None
    else:
        yield None


class DaskExecutor(Executor):
    """A Dask cluster.

    `Client.get_executor` of distributed 2026.8 takes a result for an error when the worker that holds it ends at that
    moment. What is fetched by `Future.result`, as here, is computed again elsewhere.
    """

    def __init__(self, client: Any, scheduler: str, killed: type[Exception]) -> None:
        """`killed` is what a call ends with whose workers end one after the other."""
        self._client = client
        self._scheduler = scheduler
        self._killed = killed

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor. Each call is run, also if it is the same as another; one that is called off is not."""
        answer: Future[T] = Future()
        asked = self._client.submit(fn, *args, pure=False, **kwargs)
        asked.add_done_callback(partial(self._hand_over, answer))
        answer.add_done_callback(lambda done: asked.cancel() if done.cancelled() else None)
        return answer

    def _hand_over(self, answer: Future[Any], done: Any) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(done.result())
        except FileNotFoundError as error:
            text = f"a worker has no {error.filename}; files of profiles and prices have the same path everywhere."
            answer.set_exception(_cannot_go_on(text))
        except self._killed as error:
            text = f"workers ended one after the other; was there memory enough? ({error})"
            answer.set_exception(_cannot_go_on(text))
        except CancelledError:
            answer.set_exception(_cannot_go_on(f"the Dask scheduler at {self._scheduler} is gone."))
        except BaseException as error:  # noqa: BLE001 - whatever else a call has raised
            answer.set_exception(error)


def _cannot_go_on(why: str) -> SimulationError:
    return SimulationError(f"the study cannot go on: {why} Run again, it goes on from what was saved")
