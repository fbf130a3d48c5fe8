"""One size: `python -m bench.scale.operator HOUSEHOLDS` prints what was measured as a JSON object.

This process is the operator with its API server in memory and nothing else, so what it takes is what the two take.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bench.resident import peak_resident_mb, resident_mb
from bench.scale.agents import PORT
from bench.scale.names import resolve_by
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import HttpTransport, Reply
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.logs import configure
from wattmesh_common.runtime import REGISTRAR
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_operator.cluster.cache import CachedCluster
from wattmesh_operator.cluster.counting import CountingCluster
from wattmesh_operator.cluster.memory import MemoryCluster
from wattmesh_operator.cluster.objects import DEPLOYMENT, RESOURCES, Object, annotations_of, name_of
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.reconcile import Pass, Reconciler
from wattmesh_operator.controller.resync import Resync
from wattmesh_operator.controller.watch import WATCHED_CHILDREN, Watcher
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers
from wattmesh_operator.desired.names import HOUSEHOLDS, service_url
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.keys.key_files import key_file, signers_of
from wattmesh_operator.plan.pods import Participant
from wattmesh_operator.registry.entries import Registrant, wanted_entries

_NAMESPACE = "scale"
_GATEWAY, _REAL = "market", "home-0-pod-0"
"""Pods that are real processes."""
_PER_AGENT, _PER_POD = 500, 250
_PATIENCE_S = 1_800.0
_QUIET_S = 20.0
_IDLE_S = 40.0
"""Some resyncs."""
_LOOKUPS, _AT_ONCE, _SEARCHES = 3_000, 16, 30
_SEARCH_S = 10.0


def manifests(households: int) -> list[Object]:
    """A gateway, and SolarAgents of up to 500 households, each on a feeder of its own with a utility."""
    agents = max(2, households // _PER_AGENT)
    found: list[Object] = [_resource("BecknGateway", _GATEWAY, {"clock": {"speed": 1}})]
    for number in range(agents):
        feeder, tariff = f"feeder-{number}", {"price": 0.25, "feedIn": 0.08}
        utility = {"tariff": tariff, "capacityKw": 1000, "feeder": feeder}
        homes = {
            "replicas": households // agents,
            "householdsPerPod": _PER_POD,
            "feeder": feeder,
            "battery": {"capacityKwh": 10, "initialKwh": 9},
            "load": {"annualKwh": 3500},
            "trading": {"sellAbovePercent": 50, "buyBelowPercent": 20, "buyTargetPercent": 40},
        }
        found.append(_resource("UtilityAgent", f"utility-{number}", utility))
        found.append(_resource("SolarAgent", f"home-{number}", homes))
    return found


def _resource(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    return {
        "apiVersion": "wattmesh.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": dict(spec),
    }


class _Counting:
    """A transport that counts what the operator writes into registries."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.writes = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        self.writes += url.endswith("/subscribe")
        return await self._transport.post(url, body, headers, timeout_s=timeout_s)


class Bench:
    """The cluster, its processes and its operator."""

    def __init__(self, households: int, folder: Path) -> None:
        self.households = households
        self._folder = folder
        high, low = divmod(os.getpid() % 65_536, 256)
        self._addresses = {
            f"{_GATEWAY}.{_NAMESPACE}.svc": f"127.{high}.{low}.2",
            f"{_REAL}.{_NAMESPACE}.svc": f"127.{high}.{low}.3",
            "*": f"127.{high}.{low}.4",
        }
        self.buyer = f"127.{high}.{low}.5"
        resolve_by(self._addresses)
        self.clock = SystemClock()
        self.cluster = MemoryCluster(self.clock.wall)
        self.http = HttpTransport()
        self.transport = _Counting(self.http)
        self.api_writes: Counter[tuple[str, str]] = Counter()
        self.reads = 0
        self.pass_s: list[float] = []
        self._ready: dict[str, int] = {}
        self.stop_operator: Callable[[], Awaitable[None]]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._kubelet: set[asyncio.Task[None]] = set()
        self._log = (folder / "processes.log").open("wb")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The operator works, and pods come up as its Deployments say."""
        self._start("bench.scale.agents", self._addresses["*"])
        await self._until(lambda: self._answers(f"http://nobody.{_NAMESPACE}.svc:{PORT}/status"), 30)
        metrics, health = OperatorMetrics(), WatchHealth()
        self.cluster.refuse = self._read
        counted = CountingCluster(self.cluster, self._wrote)
        cache = CachedCluster(
            counted, self.clock, lambda kind, items, name: health.listed(kind, items, self.clock.wall(), name)
        )

        def brought(item: Object, gone: bool) -> bool:
            return cache.brought(item, gone=gone)

        workers = Workers(lambda _: _Timed(self, cache), self.clock, metrics)
        watcher = Watcher(workers, health, metrics, brought)
        kinds = {kind.kind for kind in RESOURCES}

        def bring(what: str, item: Object) -> None:
            if item["kind"] in kinds:
                self._ready[name_of(item)] = (item.get("status") or {}).get("readyReplicas") or 0
                watcher.resource_event(item, gone=what == "DELETED")
            elif item["kind"] in {kind.kind for kind in WATCHED_CHILDREN}:
                watcher.child_event(item, gone=what == "DELETED")
            if item["kind"] == DEPLOYMENT.kind and what != "DELETED":
                self._take_up(item)

        self.cluster.watches.append(bring)
        resync = Resync(counted, [_NAMESPACE], workers, health, metrics, self.clock, brought)
        resyncing = asyncio.create_task(resync.run())

        async def stop() -> None:
            resyncing.cancel()
            await workers.stop()

        self.stop_operator = stop
        try:
            yield
        finally:
            await stop()
            await self.http.close()
            for process in self._processes:
                process.kill()
                process.wait()
            self._log.close()

    # --- what people do ---

    def apply(self, item: Object) -> None:
        """`kubectl apply`."""
        self.cluster.put(item)

    async def wait_for(self, ready: int) -> float:
        """Seconds until so many households are ready and registered."""
        began = time.perf_counter()
        await self._until(lambda: self._is_ready(ready), _PATIENCE_S)
        return time.perf_counter() - began

    async def _is_ready(self, households: int) -> bool:
        return sum(self._ready.values()) >= households

    async def heal(self, service: str) -> float:
        """Seconds until a Service that somebody deletes is there again."""
        began = time.perf_counter()
        self.cluster.remove("Service", _NAMESPACE, service)

        async def is_there() -> bool:
            return service in self.cluster.names("Service", _NAMESPACE)

        await self._until(is_there, _PATIENCE_S, every_s=0.05)
        return time.perf_counter() - began

    def _agents(self) -> Sequence[str]:
        return self.cluster.names("SolarAgent", _NAMESPACE)

    async def quiet(self) -> None:
        """Until nothing was written for a while."""
        before = -1

        async def is_quiet() -> bool:
            nonlocal before
            before, former = self.writes, before
            return before == former

        await self._until(is_quiet, _PATIENCE_S, every_s=_QUIET_S)

    @property
    def writes(self) -> int:
        """To the API server and to the registry."""
        return self.api_writes.total() + self.transport.writes

    async def hang(self, *pods: str) -> None:
        """These pods do not answer any more."""
        await self._post(f"http://hang.{_NAMESPACE}.svc:{PORT}/hang", [*pods])

    def largest_status_kb(self) -> float:
        """Of all SolarAgents."""
        found = (self.cluster.read("SolarAgent", _NAMESPACE, name)["status"] for name in self._agents())
        return max(len(json.dumps(status)) for status in found) / 1000

    # --- what the cluster does ---

    def _read(self, verb: str, _kind: str, _name: str) -> None:
        self.reads += verb in ("list", "get")

    def _wrote(self, verb: str, kind: str) -> None:
        self.api_writes[verb, kind] += 1

    def _take_up(self, deployment: Object) -> None:
        if (deployment.get("status") or {}).get("observedGeneration") != deployment["metadata"]["generation"]:
            self._task(self._start_pod(name_of(deployment), annotations_of(deployment).get(HOUSEHOLDS, "")))
        else:
            self._task(self._play(name_of(deployment), annotations_of(deployment).get(HOUSEHOLDS, "")))

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._kubelet.add(task)
        task.add_done_callback(self._kubelet.discard)

    async def _start_pod(self, name: str, parties: str) -> None:
        if name in (_GATEWAY, _REAL):
            await self._start_process(name)
        await self._play(name, parties)
        self.cluster.roll_out(name)

    async def _play(self, name: str, parties: str) -> None:
        if name not in (_GATEWAY, _REAL):
            await self._post(f"http://{name}.{_NAMESPACE}.svc:{PORT}/play", {name: parties.split(",")})

    async def _start_process(self, name: str) -> None:
        config = json.loads(self.cluster.read("ConfigMap", _NAMESPACE, name)["data"]["config.json"])
        files = {part: self._folder / f"{name}.{part}" for part in ("json", "keys", "db", "token")}
        if files["json"].exists():
            return
        files["keys"].write_bytes(key_file(self.cluster.read("Secret", _NAMESPACE, name)))
        address = self._addresses[f"{name}.{_NAMESPACE}.svc"]
        more = ["--config", str(files["json"]), "--keys", str(files["keys"]), "--host", address, "--port", str(PORT)]
        if name == _GATEWAY:
            config["database"] = str(files["db"])
            token = self.cluster.read("Secret", _NAMESPACE, f"{name}-reader")["data"]["token"]
            files["token"].write_bytes(base64.b64decode(token))
            module, more = "wattmesh_gateway", [*more, "--token", str(files["token"])]
        else:
            url = service_url(name, _NAMESPACE)
            module, more = "wattmesh_agents", [*more, "--database", str(files["db"]), "--url", url]
        files["json"].write_text(json.dumps(config), encoding="utf-8")
        self._start(module, *more)
        await self._until(lambda: self._answers(f"{service_url(name, _NAMESPACE)}/health/live"), 120)

    def _start(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "bench.scale.names", json.dumps(self._addresses), module, *arguments]
        self._processes.append(subprocess.Popen(command, stdout=self._log, stderr=self._log))

    async def _answers(self, url: str) -> bool:
        try:
            await self.http.get(url, timeout_s=2)
        except Exception:  # noqa: BLE001 - not yet
            return False
        return True

    async def _until(self, so: Callable[[], Awaitable[bool]], patience_s: float, every_s: float = 0.25) -> None:
        until = time.monotonic() + patience_s
        while not await so():
            if time.monotonic() > until:
                raise SystemExit(f"not within {patience_s:g} s")
            await asyncio.sleep(every_s)

    async def _post(self, url: str, value: Any) -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json=value):
            pass

    # --- what the market does ---

    async def lookups_per_s(self) -> float:
        """How many look-ups of one subscriber the gateway answers, when so many are asked at once."""
        url = f"{service_url(_GATEWAY, _NAMESPACE)}/lookup"
        agent = self._agents()[-1]
        ids = [f"{agent}-{number % 50}.{_NAMESPACE}" for number in range(_LOOKUPS)]
        asking = asyncio.Semaphore(_AT_ONCE)

        async def ask(subscriber_id: str) -> None:
            async with asking:
                body = json.dumps({"subscriber_id": subscriber_id}).encode()
                reply = await self.http.post(url, body, {"content-type": "application/json"}, timeout_s=30)
                if reply.status != 200 or subscriber_id.encode() not in reply.body:
                    raise SystemExit(f"a look-up was answered {reply.status} {reply.body[:200]!r}")

        began = time.perf_counter()
        await asyncio.gather(*map(ask, ids))
        return len(ids) / (time.perf_counter() - began)

    async def first_offers_ms(self) -> list[float]:
        """From searches on the first feeder until their first offers are heard."""
        # Late, for what plays a buyer needs packages that an operator does not, and its memory was measured before.
        from fastapi import FastAPI

        from bench.search import Ear, Searched, send_search
        from wattmesh_beckn.http import add_post
        from wattmesh_cli.street.local import listen, serving

        config = json.loads(self.cluster.read("ConfigMap", _NAMESPACE, _GATEWAY)["data"]["config.json"])
        offering = json.loads(self.cluster.read("ConfigMap", _NAMESPACE, _REAL)["data"]["config.json"])["households"]
        at = Searched(service_url(_GATEWAY, _NAMESPACE), config["subscriber_id"], config["domain"], "feeder-0")
        signer = Signer.from_seed(f"buyer.{_NAMESPACE}", "7c9e6679-7425-40de-944b-e07fc1f90ae7", bytes(32))
        registrar = signers_of(self.cluster.read("Secret", _NAMESPACE, f"{_GATEWAY}-registrar"))[REGISTRAR]
        app, ear, listener = FastAPI(), Ear(), listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        add_post(app, ear, "/on_search", "on_search", {})
        who = Participant("buyer", signer.subscriber_id, at.feeder, ("BAP",))
        [wanted] = wanted_entries([Registrant(who, url, signer.key_id, signer.public_key)], at.domain)
        await subscribe(at.url, self.http, self.clock, registrar, wanted.entry(utc(self.clock.wall())))
        clock = config["clock"]
        start = yaml.safe_load(clock["start"]).timestamp()
        grid = GridTime(start, clock["epoch"], clock["speed"])
        found: list[float] = []
        async with serving(app, listener):
            for _ in range(_SEARCHES):
                ear.expect(len(offering))
                began = time.perf_counter()
                slot = slot_of(grid.at(self.clock.wall())) + SLOT_S
                await send_search(at, self.http, signer, url, slot, "v1")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ear.all_heard.wait(), _SEARCH_S)
                if not ear.first_at:
                    raise SystemExit(f"no offer within {_SEARCH_S:g} s")
                found.append(1000 * (ear.first_at - began))
        return found


class _Timed:
    """The reconciler, with how long its passes take."""

    def __init__(self, bench: Bench, cluster: CachedCluster) -> None:
        self._bench = bench
        settings = PodSettings(image="runtime:1")
        self._of = Reconciler(_NAMESPACE, cluster, bench.transport, bench.http, bench.clock, settings)

    async def run(self) -> Pass:
        began = time.perf_counter()
        try:
            return await self._of.run()
        finally:
            self._bench.pass_s.append(time.perf_counter() - began)


async def measure(households: int, folder: Path) -> dict[str, float]:
    """All that is in the table."""
    bench = Bench(households, folder)
    found: dict[str, float] = {"households": households}
    async with bench.running():
        for item in manifests(households):
            bench.apply(item)
        found["registered_s"] = round(await bench.wait_for(households), 1)
        await bench.quiet()
        found |= {"api_writes": bench.api_writes.total(), "registry_writes": bench.transport.writes}
        bench.pass_s.clear()
        reads, writes, cpu_s, began = bench.reads, bench.writes, time.process_time(), time.perf_counter()
        await asyncio.sleep(_IDLE_S)
        took_s = time.perf_counter() - began
        found["idle_cpu_percent"] = round(100 * (time.process_time() - cpu_s) / took_s, 1)
        found["pass_ms"] = round(1000 * statistics.median(bench.pass_s or [0]))
        found["idle_reads"] = round(60 * (bench.reads - reads) / took_s)
        found["idle_writes"] = bench.writes - writes
        found["resident_mb"] = round(resident_mb(os.getpid()))
        found["status_kb"] = round(bench.largest_status_kb(), 1)

        await bench.hang("utility-1")
        item = bench.cluster.read("SolarAgent", _NAMESPACE, "home-1")
        item["spec"]["replicas"] += 1
        bench.apply(item)
        found["scale_s"] = round(await bench.wait_for(households + 1), 1)
        await bench.quiet()
        found["heal_s"] = round(await bench.heal("utility-0"), 1)
        found["peak_mb"] = round(peak_resident_mb(os.getpid()))
        await bench.stop_operator()  # which would end the entry of a buyer that it knows nothing of
        found["lookups_per_s"] = round(await bench.lookups_per_s())
        offers_ms = await bench.first_offers_ms()
        found["first_offer_ms"] = round(statistics.median(offers_ms))
        found["first_offer_p99_ms"] = round(statistics.quantiles(offers_ms, n=100)[98])
    return found


def main() -> None:
    """Measure one size."""
    configure(io.StringIO(), logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(int(sys.argv[1]), Path(folder)))
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
