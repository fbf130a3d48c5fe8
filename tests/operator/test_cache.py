"""Lists from memory: what a watch brings, what it loses, and what comes in the wrong order."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.operator.world import NOW, STREET, World, run
from wattmesh_common.clock import LoopClock
from wattmesh_operator.cluster.cache import RELIST_S, CachedCluster
from wattmesh_operator.cluster.memory import MemoryCluster
from wattmesh_operator.cluster.objects import CONFIG_MAP, MANAGED, MANAGED_BY, OPERATOR, SERVICE, Object
from wattmesh_operator.cluster.port import ClusterError, Conflict
from wattmesh_operator.desired.files import CONFIG_FILE


class Watched:
    """A cluster, a cache of it, and a watch that can be cut."""

    def __init__(self) -> None:
        self.clock = LoopClock(NOW)
        self.cluster = MemoryCluster(self.clock.wall)
        self.lists = 0
        self.cluster.refuse = self._count
        self.told: list[tuple[str, int]] = []
        self.cache = CachedCluster(
            self.cluster, self.clock, lambda kind, items, _: self.told.append((kind, len(items)))
        )
        self.cluster.watches.append(lambda what, item: self.bring(item, gone=what == "DELETED"))
        self.cut = False
        self.news = 0

    def bring(self, item: Object, *, gone: bool = False) -> None:
        if not self.cut:
            self.news += self.cache.brought(item, gone=gone)

    def _count(self, verb: str, _kind: str, _name: str) -> ClusterError | None:
        self.lists += verb == "list"
        return None

    async def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in await self.cache.list(SERVICE, "street", selector=MANAGED)]


def service(name: str, port: int = 80, **metadata: Any) -> Object:
    labels = {MANAGED_BY: OPERATOR}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "street", "labels": labels, **metadata},
        "spec": {"port": port},
    }


def test_lists_are_read_once_and_then_follow_the_watch() -> None:
    async def main() -> None:
        watched = Watched()
        watched.cluster.put(service("one"))
        assert await watched.names() == ["one"]
        watched.cluster.put(service("two"))
        watched.cluster.remove("Service", "street", "one")
        assert await watched.names() == ["two"]
        assert watched.lists == 1

    run(main())


def test_what_is_written_through_it_is_there_at_once_and_no_news_when_the_watch_brings_it() -> None:
    async def main() -> None:
        watched = Watched()
        await watched.names()
        watched.cut = True
        made = await watched.cache.apply(service("one"))
        assert await watched.names() == ["one"]
        watched.cut = False
        watched.bring(made)
        assert watched.news == 0

    run(main())


def test_what_a_dead_watch_has_lost_is_taken_from_the_next_full_list_which_says_so() -> None:
    async def main() -> None:
        watched = Watched()
        watched.cluster.put(service("one"))
        await watched.names()
        watched.cut = True
        watched.cluster.remove("Service", "street", "one")
        watched.cluster.put(service("two"))
        watched.cluster.put(service("three"))
        assert await watched.names() == ["one"]
        await watched.clock.sleep(RELIST_S)
        assert await watched.names() == ["three", "two"]
        assert watched.told == [("Service", 1), ("Service", 2)]

    run(main())


def test_what_comes_late_replaces_nothing_newer() -> None:
    async def main() -> None:
        watched = Watched()
        old = watched.cluster.put(service("one", port=80))
        await watched.names()
        new = watched.cluster.put(service("one", port=81))
        watched.bring(old)
        assert await watched.cache.list(SERVICE, "street", selector=MANAGED) == [new]
        watched.cluster.remove("Service", "street", "one")
        watched.bring(new)
        assert await watched.names() == [], "an answer to a write may come after the end of what was written"
        again = watched.cluster.put(service("one"))
        watched.bring(new, gone=True)
        assert await watched.cache.list(SERVICE, "street", selector=MANAGED) == [again]

    run(main())


def test_what_comes_while_a_list_is_under_way_is_newer_than_the_list() -> None:
    async def main() -> None:
        watched = Watched()
        gone = watched.cluster.put(service("gone"))
        real = watched.cluster.list

        async def slow(*arguments: Any, **more: Any) -> list[Object]:
            items = await real(*arguments, **more)
            watched.cluster.put(service("new"))
            watched.cluster.remove("Service", "street", gone["metadata"]["name"])
            return items

        watched.cluster.list = slow  # type: ignore[method-assign]
        assert await watched.names() == ["new"]

    run(main())


def test_a_conflict_brings_what_is_there() -> None:
    async def main() -> None:
        watched = Watched()
        watched.cluster.put(service("one"))
        [read] = await watched.cache.list(SERVICE, "street", selector=MANAGED)
        watched.cut = True
        live = watched.cluster.put(service("one", port=90))
        stale = service("one", port=100, resourceVersion=read["metadata"]["resourceVersion"])
        with pytest.raises(Conflict):
            await watched.cache.apply(stale)
        assert await watched.cache.list(SERVICE, "street", selector=MANAGED) == [live]

    run(main())


def test_who_wrote_which_field_is_not_kept() -> None:
    async def main() -> None:
        watched = Watched()
        watched.cluster.put(service("one", managedFields=[{"manager": "kubectl"}]))
        [kept] = await watched.cache.list(SERVICE, "street", selector=MANAGED)
        assert "managedFields" not in kept["metadata"]

    run(main())


def test_a_namespace_that_could_not_be_read_is_read_anew() -> None:
    async def main() -> None:
        watched = Watched()
        await watched.names()
        watched.cut = True
        watched.cluster.put(service("one"))
        watched.cache.forget("street")
        assert await watched.names() == ["one"]

    run(main())


def test_a_pass_changes_nothing_that_is_kept() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        kept = await world.cache.list(CONFIG_MAP, "street", selector=MANAGED)
        before = deepcopy(kept)
        world.scale("rooftop", 3)
        await world.settle()
        assert kept == before

    run(main())


def test_what_a_config_shall_be_and_is_are_one_text() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        *_, item = await world.cache.list(CONFIG_MAP, "street", selector=MANAGED)
        text = item["data"][CONFIG_FILE]
        read: Object = json.loads(json.dumps(item))  # as from an API server
        read["metadata"]["resourceVersion"] = str(int(item["metadata"]["resourceVersion"]) + 1)
        assert world.cache.brought(read, gone=False)
        assert read["data"][CONFIG_FILE] is not text
        await world.reconcile()
        *_, kept = await world.cache.list(CONFIG_MAP, "street", selector=MANAGED)
        assert kept["metadata"]["resourceVersion"] == read["metadata"]["resourceVersion"]
        assert kept["data"][CONFIG_FILE] is text

    run(main())


def test_a_quiet_pass_lists_nothing() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        await world.reconcile()
        calls: list[str] = []
        world.cluster.refuse = lambda verb, kind, _: calls.append(f"{verb} {kind}")
        await world.reconcile()
        assert calls == []

    run(main())
