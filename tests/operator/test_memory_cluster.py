"""The cluster in memory does what server-side apply does, as far as the operator needs it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.world import run
from wattmesh_operator.cluster.memory import MemoryCluster
from wattmesh_operator.cluster.objects import SERVICE, Object
from wattmesh_operator.cluster.port import Conflict, Missing


def service(name: str = "a", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "street", "labels": {"x": "1"}},
        "spec": spec,
    }


def cluster() -> MemoryCluster:
    return MemoryCluster(lambda: 1_790_000_000.0)


def test_apply_sets_its_fields_drops_its_old_ones_and_leaves_those_of_others() -> None:
    async def main() -> None:
        memory = cluster()
        await memory.apply(service(type="ClusterIP", ports=[{"name": "http", "port": 80}]))
        edited = memory.read("Service", "street", "a")
        edited["spec"] |= {"clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 81, "nodePort": 9}]}
        memory.put(edited)
        made = await memory.apply(service(ports=[{"name": "http", "port": 80}]))
        assert made["spec"] == {"clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 80, "nodePort": 9}]}
        assert made["metadata"]["generation"] == 3
        assert memory.writes == [("apply", "Service", "a"), ("apply", "Service", "a")]

    run(main())


def test_conflicts_and_missing_objects_are_told() -> None:
    async def main() -> None:
        memory = cluster()
        made = await memory.create(service())
        with pytest.raises(Conflict):
            await memory.create(service())
        stale = service()
        stale["metadata"]["resourceVersion"] = "0"
        with pytest.raises(Conflict):
            await memory.apply(stale)
        await memory.delete({**made, "metadata": {**made["metadata"], "uid": "another"}})
        assert await memory.get(SERVICE, "street", "a") is not None
        await memory.delete(made)
        with pytest.raises(Missing):
            await memory.set_status(made, {})

    run(main())


def test_what_an_object_owns_goes_with_it() -> None:
    async def main() -> None:
        memory = cluster()
        owner = await memory.apply(service("owner"))
        child = service("child")
        child["metadata"]["ownerReferences"] = [{"uid": owner["metadata"]["uid"]}]
        await memory.apply(child)
        await memory.apply(service("other"))
        await memory.delete(owner)
        assert memory.names("Service", "street") == ["other"]

    run(main())


def test_what_another_owns_too_stays_until_that_one_goes_or_gives_it_up() -> None:
    async def main() -> None:
        memory = cluster()
        first, second = await memory.apply(service("first")), await memory.apply(service("second"))
        owners = [{"uid": owner["metadata"]["uid"]} for owner in (first, second)]
        for name in ("kept", "given-up"):
            child = service(name)
            child["metadata"]["ownerReferences"] = owners
            await memory.apply(child)
        await memory.delete(first)
        assert memory.read("Service", "street", "kept")["metadata"]["ownerReferences"] == owners[1:]
        given_up = memory.read("Service", "street", "given-up")
        await memory.patch_metadata(given_up, {"ownerReferences": owners[:1]})
        assert memory.names("Service", "street") == ["kept", "second"]
        with pytest.raises(Conflict):
            await memory.patch_metadata(given_up, {})
        await memory.delete(second)
        assert memory.names("Service", "street") == []

    run(main())


def test_lists_are_selected_by_label() -> None:
    async def main() -> None:
        memory = cluster()
        await memory.apply(service())
        assert len(await memory.list(SERVICE, "street", selector="x=1")) == 1
        assert await memory.list(SERVICE, "street", selector="x=2") == []
        assert await memory.list(SERVICE, "elsewhere") == []
        assert len(await memory.list(SERVICE, None)) == 1

    run(main())
