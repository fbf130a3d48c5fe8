"""The post between the processes: HTTP that loses, delays, doubles and reorders messages and their answers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import aiohttp
from aiohttp import web

from tests.chaos.schedule import Fate, fate

_MESSAGE_ID = re.compile(rb'"message(?:_id|Id)":"([^"]{1,64})"')
_KEPT = ("authorization", "x-gateway-authorization", "content-type", "retry-after", "www-authenticate")
_LONGEST_HOLD_S = 1.0
_ANSWER_S = 10.0
SINK = "sink"
"""The address of those who only ask: every message to it is acknowledged and thrown away."""
_ACK = b'{"message":{"ack":{"status":"ACK"}}}'


class Carrier:
    """Carries `POST <url>/<process>/<path>` to `<path>` at the process's own port, with the fate that the seed gives.

    `counts` has how many messages met each fate. `calm` ends all of it.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ports: dict[str, int] = {}
        self._tries: Counter[str] = Counter()
        self._passed: dict[str, asyncio.Event] = {}
        self._slow_s: dict[str, float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self.counts: Counter[str] = Counter()
        self.calm = False
        self.url = ""

    async def __aenter__(self) -> Carrier:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._runner = web.ServerRunner(web.Server(self._carry, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._runner.cleanup()
        await self._session.close()

    def url_of(self, process: str) -> str:
        """Where others reach a process."""
        return f"{self.url}/{process}"

    def moved(self, process: str, port: int) -> None:
        """A process listens on this port now."""
        self._ports[process] = port

    @contextmanager
    def slow(self, process: str, seconds: float) -> Iterator[None]:
        """Let every message to a process take that long."""
        self._slow_s[process] = seconds
        try:
            yield
        finally:
            self._slow_s.pop(process, None)

    async def _carry(self, request: web.BaseRequest) -> web.StreamResponse:
        process, _, path = request.path.lstrip("/").partition("/")
        body = await request.read()
        if process == SINK:
            self.counts["thrown away"] += 1
            await asyncio.sleep(self._slow_s.get(SINK, 0.0))
            return web.Response(body=_ACK, content_type="application/json")
        headers = {name: value for name in _KEPT if (value := request.headers.get(name)) is not None}
        self.counts["carried"] += 1
        found = _MESSAGE_ID.search(body)
        name = f"{path}/{found[1].decode() if found else self.counts['carried']}"
        self._tries[name] += 1
        lot = Fate() if self.calm else fate(self._seed, name, self._tries[name])
        self._count(lot)
        await self._wait(process, lot)
        answer = None if lot.drop else await self._deliver(process, path, body, headers)
        if lot.copies > 1:
            answer = await self._deliver(process, path, body, headers) or answer
        if lot.late_copy_s is not None:
            task: asyncio.Task[object] = asyncio.ensure_future(
                self._deliver_late(lot.late_copy_s, process, path, body, headers)
            )
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        if answer is None or lot.drop_answer:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        return answer

    def _count(self, lot: Fate) -> None:
        for what, met in (
            ("dropped", lot.drop),
            ("answers dropped", lot.drop_answer),
            ("doubled", lot.copies > 1 or lot.late_copy_s is not None),
            ("delayed", lot.delay_s > 0),
            ("reordered", lot.overtaken),
        ):
            self.counts[what] += met

    async def _wait(self, process: str, lot: Fate) -> None:
        passed = self._passed.setdefault(process, asyncio.Event())
        if lot.overtaken:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_HOLD_S):
                    await passed.wait()
        else:
            await asyncio.sleep(lot.delay_s + self._slow_s.get(process, 0.0))

    async def _deliver(self, process: str, path: str, body: bytes, headers: dict[str, str]) -> web.Response | None:
        try:
            async with self._session.post(
                f"http://127.0.0.1:{self._ports[process]}/{path}",
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=_ANSWER_S),
            ) as reply:
                answer = await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        passed = self._passed.pop(process, None)
        if passed is not None:
            passed.set()
        kept = {name: value for name in _KEPT if (value := reply.headers.get(name)) is not None}
        return web.Response(body=answer, status=reply.status, headers=kept)

    async def _deliver_late(
        self, after_s: float, process: str, path: str, body: bytes, headers: dict[str, str]
    ) -> None:
        await asyncio.sleep(after_s)
        await self._deliver(process, path, body, headers)
