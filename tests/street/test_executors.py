"""What a study runs on, and what is told when that is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.world.dask_cluster import dask_cluster
from wattmesh_cli.street.executors import SimulationError, executor_of


@dataclass(frozen=True)
class Endangered:
    """A result whose worker ends when it has handed it over; so large that the client unpacks it in a thread."""

    folder: Path
    filling: bytes

    def __reduce__(self) -> tuple[object, tuple[Path, int, bytes]]:
        return _arrives, (self.folder, os.getpid(), self.filling)


def endangered(folder: Path) -> Endangered:
    """Where it is computed a second time, that takes until the first result was taken."""
    if (folder / "killed").exists():
        (folder / "again").touch()
        _until_there(folder / "taken")
    return Endangered(folder, random.Random(1).randbytes(11_000_000))


def _arrives(folder: Path, worker: int, filling: bytes) -> Endangered:
    if not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(worker, signal.SIGKILL)
        _until_there(folder / "again")
    return Endangered(folder, filling)


def _until_there(file: Path) -> None:
    while not file.exists():
        time.sleep(0.1)


def test_a_result_arrives_although_its_worker_ends_while_it_is_unpacked(tmp_path: Path) -> None:
    with dask_cluster() as cluster, executor_of(1, cluster.address) as executor:
        assert executor is not None
        result = executor.submit(endangered, tmp_path).result()
        (tmp_path / "taken").touch()
        ended = [worker.poll() for worker in cluster.workers]
    assert len(result.filling) == 11_000_000
    assert ended.count(-signal.SIGKILL) == 1


def test_what_is_called_off_is_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with dask_cluster(1) as cluster, executor_of(1, cluster.address) as executor:
        assert executor is not None
        first = executor.submit(_until_there, tmp_path / "go")
        second = executor.submit(Path.touch, tmp_path / "second")
        assert second.cancel()
        (tmp_path / "go").touch()
        first.result()
        assert executor.submit(abs, -1).result() == 1
    assert not (tmp_path / "second").exists()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_scheduler_that_is_gone_is_told() -> None:
    with dask_cluster(1) as cluster, executor_of(1, cluster.address) as executor:
        assert executor is not None
        assert executor.submit(abs, -1).result() == 1
        cluster.scheduler.kill()
        with pytest.raises(SimulationError) as caught:
            executor.submit(abs, -1).result()
    gone = f"the Dask scheduler at {cluster.address} is gone"
    assert str(caught.value) == f"the study cannot go on: {gone}. Run again, it goes on from what was saved"


def test_what_a_worker_does_not_have_and_what_ends_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with dask_cluster(1) as cluster, executor_of(1, cluster.address) as executor:
        assert executor is not None
        missing = executor.submit(Path.read_text, Path("/nowhere/spot.csv"))
        with pytest.raises(SimulationError, match=r"a worker has no /nowhere/spot\.csv; files of profiles and prices"):
            missing.result()
        with pytest.raises(SimulationError, match="workers ended one after the other; was there memory enough"):
            executor.submit(signal.raise_signal, signal.SIGKILL).result()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmesh_cli.street.executors.SCHEDULER_S", 0.5)
    with (
        pytest.raises(SimulationError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"),
        executor_of(1, "tcp://127.0.0.1:1"),
    ):
        pass
