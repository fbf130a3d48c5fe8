"""A wattmesh process under a supervisor that starts it again whenever it dies, as Kubernetes does."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import signal
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import aiohttp

from bench.resident import resident_mb
from tests.chaos.entry import PRELOADED, Life, live
from tests.chaos.schedule import Fatal

_PAUSE_S = 0.2
_ASK_EVERY_S = 0.05
_NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
_NOTHING = (1, resource.RLIM_INFINITY)
"""Bytes that a file may have: no write fits."""
_STOP_S = 15.0
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED])


class Process:
    """One process with its lives. `command` is what comes after `python -m`; the process listens on `port`.

    `counts` has its lives and the signals it got, `reached` and `killed` the fault points as (point, occasion).
    """

    def __init__(self, name: str, command: Sequence[str], state: Path, fatals: Iterator[Fatal]) -> None:
        self.name = name
        self.port = _free_port()
        self.counts: Counter[str] = Counter()
        self.reached: Counter[tuple[str, str]] = Counter()
        self.killed: Counter[tuple[str, str]] = Counter()
        self.ready_after_s: list[float] = []
        self.most_rss_mb = 0.0
        self.errors: list[str] = []
        self.mortal = True
        """Whether it dies at fault points."""
        self._disk_refused = False
        self._command = (*command, "--host", "127.0.0.1", "--port", str(self.port))
        self._state = state
        self._fatals = fatals
        self._clock = state / f"{name}.clock"
        self._set_clock(0.0)
        self._process: ForkServerProcess | None = None
        self._tail: deque[str] = deque(maxlen=30)
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start it and keep it up from now on; returns when it is ready."""
        self._log_file = (self._state / f"{self.name}.log").open("w", encoding="utf-8")
        self._servers = [
            await asyncio.start_unix_server(self._keep_log, self._path("out"), limit=1 << 20),
            await asyncio.start_unix_server(self._listen, self._path("told")),
        ]
        ready = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.ensure_future(self._keep_up(ready))
        await asyncio.wait((ready, self._supervisor), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            self._supervisor.result()

    async def stop(self) -> None:
        """Let it end by itself (SIGTERM), and stay down. One that does not is killed, and that is an error."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        if self._supervisor is not None:
            await asyncio.wait((self._supervisor,), timeout=_STOP_S)
            if not self._supervisor.done():
                self.errors.append(f"{self.name} did not end within {_STOP_S:.0f} s")
                self.kill()
            await self._supervisor
            for server in self._servers:
                server.close()
            self._log_file.close()

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    @contextmanager
    def clock_off(self, seconds: float) -> Iterator[None]:
        """Let its clock go wrong by that much."""
        self._set_clock(seconds)
        try:
            yield
        finally:
            self._set_clock(0.0)

    @contextmanager
    def disk_refusing(self) -> Iterator[None]:
        """Let the kernel refuse whatever it writes to a file (EFBIG)."""
        self._disk_refused = True
        self._limit_files(_NOTHING)
        try:
            yield
        finally:
            self._limit_files(_NO_LIMIT)

    def _limit_files(self, limit: tuple[int, int]) -> None:
        if self._process is not None and self._process.pid is not None:
            with suppress(ProcessLookupError):  # it has just died
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limit)

    def _set_clock(self, seconds: float) -> None:
        # Written in place: the process has the file mapped.
        descriptor = os.open(self._clock, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, struct.pack("d", seconds))
        os.close(descriptor)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.pid is not None and self._process.exitcode is None:
            self.counts["killed"] += number is signal.SIGKILL
            os.kill(self._process.pid, number)

    async def _keep_up(self, ready: asyncio.Future[None]) -> None:
        while not self._stopping:
            code = await self._live(next(self._fatals) if self.mortal else None, ready)
            if not self._stopping and code != -signal.SIGKILL and not self._is_of_the_disk("".join([*self._tail][-1:])):
                self.errors.append(f"{self.name} ended by itself with {code}: " + "\n".join(self._tail))
                if not ready.done():
                    raise RuntimeError(self.errors[-1])
            await asyncio.sleep(_PAUSE_S)

    async def _live(self, fatal: Fatal | None, ready: asyncio.Future[None]) -> int:
        self.counts["lives"] += 1
        life = Life(self._command, self._state, Path(self._path("out")), Path(self._path("told")), self._clock, fatal)
        process = self._process = _CONTEXT.Process(target=live, args=(life,))
        born = time.monotonic()
        process.start()
        getting_ready = asyncio.ensure_future(self._get_ready(born, ready))
        await _ended(process.sentinel)
        getting_ready.cancel()
        await asyncio.gather(getting_ready, return_exceptions=True)
        process.join()
        code = process.exitcode
        if code is None:
            raise RuntimeError(f"{self.name} has ended without an exit code")
        return code

    async def _get_ready(self, born: float, ready: asyncio.Future[None]) -> None:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{self.port}/health/ready"
            while not await _answers(session, url):  # noqa: ASYNC110 - another process sets no Event
                await asyncio.sleep(_ASK_EVERY_S)
        self.ready_after_s.append(time.monotonic() - born)
        if not ready.done():
            ready.set_result(None)
        while True:
            self._note_memory()
            await asyncio.sleep(1)

    def _note_memory(self) -> None:
        if self._process is not None and self._process.pid is not None:
            self.most_rss_mb = max(self.most_rss_mb, resident_mb(self._process.pid))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := (await reader.readline()).decode():
                what, point, occasion = line.rstrip("\n").split(" ", 2)
                (self.reached if what == "reached" else self.killed)[point, occasion] += 1
        writer.close()

    async def _keep_log(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := (await reader.readline()).decode(errors="replace"):
                self._log_file.write(line)
                self._tail.append(line.rstrip())
                if '"level": "error"' in line:
                    self._note_error(json.loads(line)["message"])
        writer.close()

    def _note_error(self, message: str) -> None:
        lines = message.strip().splitlines() or [""]
        first, last = lines[0], lines[-1]
        if not self._is_of_the_disk(last):
            self.errors.append(f"{self.name} logged: {first}: {last}")

    def _is_of_the_disk(self, said: str) -> bool:
        """Whether that is what a process says whose disk refuses; one that begins then ends with it."""
        return self._disk_refused and "disk I/O error" in said

    def _path(self, what: str) -> str:
        return str(self._state / f"{self.name}.{what}")


async def _ended(sentinel: int) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sentinel, ended.set_result, None)
    try:
        await ended
    finally:
        loop.remove_reader(sentinel)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=1)) as reply:
            return reply.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
