"""Around the passes: what the watches bring, workers, health, settings and the HTTP side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.operator.world import NOW, STREET, World, run
from wattmesh_common.clock import Clock, LoopClock
from wattmesh_operator.cluster.counting import CountingCluster
from wattmesh_operator.cluster.objects import RESOURCES, SOLAR_AGENT, Object
from wattmesh_operator.cluster.port import ClusterError
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.reconcile import Pass
from wattmesh_operator.controller.resync import RESYNC_S, Resync
from wattmesh_operator.controller.server import create_app
from wattmesh_operator.controller.watch import Watcher, add_handlers, kopf_settings, watch
from wattmesh_operator.controller.watch_health import DEAD_AFTER_S, WatchHealth
from wattmesh_operator.controller.workers import Workers
from wattmesh_operator.settings import Settings, SettingsError, read_settings


def resource(uid: str = "u", version: int = 1, **metadata: Any) -> Object:
    named = {"name": "rooftop", "namespace": "street", "uid": uid, "resourceVersion": str(version)}
    return {"kind": "SolarAgent", "metadata": {**named, "generation": 1, **metadata}}


class Recorder:
    """A reconciler that only remembers when it ran, and answers what it is told."""

    def __init__(self, clock: Clock, *answers: Pass | Exception) -> None:
        self.clock = clock
        self.answers = [*answers]
        self.ran: list[float] = []

    async def run(self) -> Pass:
        self.ran.append(round(self.clock.wall() - NOW, 2))
        answer = self.answers.pop(0) if self.answers else Pass()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def working(recorder: Recorder, seconds: float) -> Workers:
    """Workers to which a change was told, `seconds` later."""
    workers = Workers(lambda _: recorder, recorder.clock, OperatorMetrics())
    workers.changed("street")
    await recorder.clock.sleep(seconds)
    return workers


def test_changes_that_come_together_make_one_pass() -> None:
    async def main() -> None:
        recorder = Recorder(LoopClock(NOW))
        workers = await working(recorder, 0.04)
        workers.changed("street")
        await recorder.clock.sleep(1)
        assert recorder.ran == [0.1]
        workers.changed("street")
        await recorder.clock.sleep(1)
        assert len(recorder.ran) == 2
        await workers.stop()

    run(main())


def test_where_something_changes_all_the_time_passes_are_made_all_the_same() -> None:
    async def main() -> None:
        recorder = Recorder(LoopClock(NOW))
        workers = await working(recorder, 0)
        for _ in range(50):
            await recorder.clock.sleep(0.02)
            workers.changed("street")
        assert recorder.ran == [0.2, 0.42, 0.62, 0.82]
        await workers.stop()

    run(main())


def test_faults_are_tried_again_ever_more_seldom() -> None:
    async def main() -> None:
        clock = LoopClock(NOW)
        recorder = Recorder(clock, Pass(faults=("no",)), ClusterError(500, "no"), RuntimeError("fault"))
        workers = await working(recorder, 60)
        assert recorder.ran == [0.05, 1.1, 3.15, 7.2]
        assert workers.alive
        await workers.stop()

    run(main())


def test_a_pass_can_ask_for_the_next_one() -> None:
    async def main() -> None:
        recorder = Recorder(LoopClock(NOW), Pass(again_in_s=2.0))
        workers = await working(recorder, 60)
        assert recorder.ran == [0.05, 2.1]
        await workers.stop()

    run(main())


def test_a_new_status_is_no_change_and_a_new_spec_is() -> None:
    async def main() -> None:
        recorder = Recorder(LoopClock(NOW))
        metrics = OperatorMetrics()
        workers = Workers(lambda _: recorder, recorder.clock, metrics)
        watcher = Watcher(workers, WatchHealth(), metrics)

        async def passes(item: Object, *, gone: bool = False) -> int:
            recorder.ran.clear()
            watcher.resource_event(item, gone=gone)
            await recorder.clock.sleep(1)
            return len(recorder.ran)

        assert await passes(resource(version=1)) == 1
        assert await passes(resource(version=2)) == 0
        assert await passes(resource(version=2, annotations={"wattmesh.io/rotate-keys": "1"})) == 1
        assert await passes(resource(version=2, annotations={"wattmesh.io/rotate-keys": "1", "helm.sh/x": "x"})) == 0
        assert await passes(resource(version=3, generation=2)) == 1
        assert await passes(resource(version=4, generation=2, deletionTimestamp="now")) == 1
        assert await passes(resource(version=5, generation=2, deletionTimestamp="now"), gone=True) == 1
        recorder.ran.clear()
        watcher.child_event({**resource(version=1), "kind": "Service"}, gone=False)
        await recorder.clock.sleep(1)
        assert len(recorder.ran) == 1
        await workers.stop()

    run(main())


def test_a_watch_that_does_not_bring_what_is_listed_is_dead_after_a_while() -> None:
    health = WatchHealth()
    health.brought(resource("a"), gone=False)
    health.listed("SolarAgent", [resource("a")], NOW)
    assert health.lag_s(NOW + 1000) == {"SolarAgent": 0}
    health.listed("SolarAgent", [resource("a", 2), resource("b")], NOW)
    assert health.dead(NOW + DEAD_AFTER_S - 1) == []
    health.listed("SolarAgent", [resource("a", 3), resource("b")], NOW + 60)
    assert health.dead(NOW + DEAD_AFTER_S) == ["SolarAgent"]
    health.brought(resource("a", 3), gone=False)
    health.brought(resource("b"), gone=True)
    assert health.dead(NOW + DEAD_AFTER_S) == []


def test_an_end_that_the_watch_does_not_bring_is_noticed_too() -> None:
    health = WatchHealth()
    health.brought(resource("a"), gone=False)
    health.listed("SolarAgent", [], NOW)
    assert health.dead(NOW + DEAD_AFTER_S) == ["SolarAgent"]
    health.brought(resource("a"), gone=True)
    assert health.dead(NOW + DEAD_AFTER_S) == []


def test_a_resync_looks_at_every_namespace_with_resources() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        for namespaces in ((), ("street", "empty")):
            resync, workers, _ = resyncing(world, *namespaces)
            await resync.once()
            await world.clock.sleep(1)
            assert workers.namespaces == ["street"]
            await workers.stop()

    run(main())


def resyncing(world: World, *namespaces: str) -> tuple[Resync, Workers, WatchHealth]:
    """A resync over a world with its workers and the health of its watches."""
    metrics, health = OperatorMetrics(), WatchHealth()
    workers = Workers(lambda _: Recorder(world.clock), world.clock, metrics)
    return Resync(world.cluster, namespaces, workers, health, metrics, world.clock), workers, health


def without(*namespaces: str) -> Callable[[str, str, str], ClusterError | None]:
    """The rights in these namespaces have gone with them."""
    return lambda verb, _, name: ClusterError(403, "no") if verb == "list" and name in namespaces else None


def test_a_namespace_that_is_deleted_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        village = World("village", clock=world.clock)
        village.cluster = world.cluster
        village.apply(STREET)
        resync, workers, health = resyncing(world, "village", "street")
        await resync.begin()
        assert workers.namespaces == ["village", "street"]
        for kind in RESOURCES:
            for item in await world.cluster.list(kind, None):
                health.brought(item, gone=False)
        world.cluster.refuse = without("village")
        for _ in range(20):
            await resync.once()
            await world.clock.sleep(RESYNC_S)
        assert workers.namespaces == ["street"]
        assert resync.unreadable == {"village": "no"}
        assert health.dead(world.clock.wall()) == []
        assert [record.message for record in caplog.records if "cannot be read" in record.message] == [
            "namespace village cannot be read, the others go on: no"
        ]
        world.cluster.refuse = without()
        await resync.once()
        assert (resync.unreadable, workers.namespaces) == ({}, ["street", "village"])
        await workers.stop()

    run(main())


def test_an_operator_without_rights_anywhere_does_not_start() -> None:
    async def main() -> None:
        world = World()
        world.cluster.refuse = without("street", "village")
        resync, _, _ = resyncing(world, "street", "village")
        with pytest.raises(ClusterError):
            await resync.begin()
        world.cluster.refuse = without("village")
        await resync.begin()

    run(main())


def test_the_watches_of_the_others_go_on_when_that_of_one_namespace_ends() -> None:
    async def main() -> None:
        clock = LoopClock(NOW)
        begun: list[str] = []

        async def run_kopf(*, namespaces: Sequence[str], stop_flag: asyncio.Event, **_: Any) -> None:
            begun.extend(namespaces)
            if namespaces == ["village"] and len(begun) < 4:
                raise RuntimeError("403")
            await asyncio.wait_for(stop_flag.wait(), 100) if namespaces == ["street"] else await clock.sleep(50)

        await watch(kopf.OperatorRegistry(), ("street", "village"), clock, asyncio.Event(), run_kopf)
        assert begun == ["street", "village", "village", "village"]

    run(main())


def test_writes_are_counted() -> None:
    async def main() -> None:
        world, wrote = World(), list[tuple[str, str]]()
        world.apply(STREET)
        cluster = CountingCluster(world.cluster, lambda verb, kind: wrote.append((verb, kind)))
        item = world.read("SolarAgent", "rooftop")
        await cluster.set_status(item, {"ready": "0/2"})
        await cluster.delete(item)
        assert await cluster.get(SOLAR_AGENT, "street", "rooftop") is None
        assert wrote == [("status", "SolarAgent"), ("delete", "SolarAgent")]

    run(main())


def test_kopf_only_watches() -> None:
    registry = kopf.OperatorRegistry()
    metrics = OperatorMetrics()
    workers = Workers(lambda _: Recorder(LoopClock(NOW)), LoopClock(NOW), metrics)
    add_handlers(registry, Watcher(workers, WatchHealth(), metrics))
    watching = {handler.selector.any_name for handler in registry._watching.get_all_handlers() if handler.selector}
    assert watching == {
        "beckngateways",
        "utilityagents",
        "solaragents",
        "deployments",
        "services",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "networkpolicies",
        "poddisruptionbudgets",
        "pods",
    }
    assert not [*registry._changing.get_all_handlers(), *registry._spawning.get_all_handlers()]
    settings = kopf_settings()
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled


async def ask(app: web.Application, path: str) -> tuple[int, str]:
    request = make_mocked_request("GET", path, app=app)
    response = await (await app.router.resolve(request)).handler(request)
    return response.status, response.body.decode()  # type: ignore[attr-defined]


def test_whether_a_rollout_has_ended_is_answered() -> None:
    async def main() -> None:
        clock, metrics = LoopClock(NOW), OperatorMetrics()
        recorder = Recorder(clock, Pass(rolling=("rooftop-0",)))
        workers = Workers(lambda _: recorder, clock, metrics)
        app = create_app(workers, WatchHealth(), metrics, clock)
        assert (await ask(app, "/rollout"))[0] == 200
        workers.changed("street")
        assert await ask(app, "/rollout") == (503, '{"rolling": {"street": []}}')
        await clock.sleep(1)
        assert await ask(app, "/rollout") == (503, '{"rolling": {"street": ["rooftop-0"]}}')
        workers.changed("street")
        await clock.sleep(1)
        assert (await ask(app, "/rollout"))[0] == 200
        await workers.stop()

    run(main())


def test_health_and_metrics_are_answered() -> None:
    async def main() -> None:
        clock, health, metrics = LoopClock(NOW), WatchHealth(), OperatorMetrics()
        workers = Workers(lambda _: Recorder(clock), clock, metrics)
        app = create_app(workers, health, metrics, clock)

        assert (await ask(app, "/health/live"))[0] == 200
        assert (await ask(app, "/health/ready"))[0] == 503
        health.listed("SolarAgent", [resource()], clock.wall())
        assert (await ask(app, "/health/ready"))[0] == 200
        await clock.sleep(DEAD_AFTER_S)
        assert await ask(app, "/health/live") == (503, '{"status": "the watch is dead: SolarAgent"}')
        assert 'wattmesh_operator_watch_lag_seconds{kind="SolarAgent"} 120.0' in (await ask(app, "/metrics"))[1]

    run(main())


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """The settings that WATTMESH_* variables give."""
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(f"WATTMESH_{name}", value)
        return read_settings()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = json.dumps({"limits": {"cpu": 1, "memory": "1Gi"}})
    settings = read(monkeypatch, IMAGE="runtime:1", NAMESPACES="a, b", AGENT_RESOURCES=resources, STORAGE_CLASS="")
    assert settings.namespaces == ("a", "b")
    assert settings.agent_resources == {"limits": {"cpu": "1", "memory": "1Gi"}}
    assert (settings.port, settings.pull_policy, settings.storage_class) == (8080, "IfNotPresent", "")
    assert (settings.key_overlap, settings.agent_env) == (timedelta(minutes=15), ())
    assert read(monkeypatch, IMAGE="x", ALL_NAMESPACES="true").namespaces == ()
    assert read(monkeypatch, IMAGE="x", NAMESPACES="a", KEY_OVERLAP="2h").key_overlap == timedelta(hours=2)
    more = [
        {"name": "WATTMESH_CHAT_MODEL", "value": "openai:gpt-5-mini"},
        {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "chat", "key": "key"}}},
    ]
    env = read(monkeypatch, IMAGE="x", NAMESPACES="a", AGENT_ENV=json.dumps(more)).agent_env
    assert [variable.entry() for variable in env] == more


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"ALL_NAMESPACES": ""}, "set either WATTMESH_NAMESPACES or WATTMESH_ALL_NAMESPACES=true"),
        ({"NAMESPACES": "a"}, "set either WATTMESH_NAMESPACES or WATTMESH_ALL_NAMESPACES=true"),
        ({"IMAGE": ""}, "WATTMESH_IMAGE: Field required"),
        ({"AGENT_STORAGE": "1 GB"}, "WATTMESH_AGENT_STORAGE: Invalid number format: 1 GB"),
        ({"AGENT_RESOURCES": "[]"}, "WATTMESH_AGENT_RESOURCES: "),
        ({"KEY_OVERLAP": "119s"}, "invalid duration '119s': use 2m to 168h, such as 15m"),
        ({"KEY_OVERLAP": "15 min"}, "WATTMESH_KEY_OVERLAP: "),
        *(
            ({"AGENT_ENV": env}, f"WATTMESH_AGENT_ENV: {text}")
            for env, text in (
                ("{}", "Input should be a valid tuple"),
                ('[{"value": "x"}]', "Field required"),
                ('[{"name": "A B", "value": "x"}]', "String should match pattern"),
                ('[{"name": "LOG_FORMAT", "value": "x"}]', "LOG_FORMAT is set already"),
                ('[{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]', "A is set already"),
                ('[{"name": "A"}]', "A needs a value (text), or valueFrom"),
                ('[{"name": "A", "value": 1}]', "Input should be a valid string"),
                ('[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]', "Extra inputs are not permitted"),
                ('[{"name": "A", "valueFrom": {}}]', "needs one secretKeyRef or configMapKeyRef"),
            )
        ),
        ({"NETWORK": '{"operatorNamespace": "a", "operatorLabels": {}}'}, "at least 1 item"),
    ],
)
def test_wrong_settings_are_said(variables: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"IMAGE": "x", "ALL_NAMESPACES": "true"}
    with pytest.raises(SettingsError) as raised:
        read(monkeypatch, **(usual | variables))
    assert text in str(raised.value)


def test_two_namespaces_are_worked_on_at_once() -> None:
    async def main() -> None:
        clock = LoopClock(NOW)
        slow, quick = asyncio.Event(), Recorder(clock)

        class Slow:
            async def run(self) -> Pass:
                await slow.wait()
                return Pass()

        workers = Workers(lambda name: Slow() if name == "slow" else quick, clock, OperatorMetrics())
        workers.changed("slow")
        workers.changed("quick")
        await clock.sleep(1)
        assert quick.ran
        await workers.stop()

    run(main())
