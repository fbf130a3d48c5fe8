"""The Cluster port over HTTP: what is sent to an API server, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from aiohttp import web
from kubernetes.aio import client

from wattmesh_operator.cluster.kubernetes import KubernetesCluster
from wattmesh_operator.cluster.objects import DEPLOYMENT, SECRET, SOLAR_AGENT
from wattmesh_operator.cluster.port import ClusterError, Conflict, Missing, NamespaceTerminating

T = TypeVar("T")
DEPLOYED = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "rooftop-0", "namespace": "street", "uid": "u"},
}


class ApiServer:
    """Answers every call with `status` and `answer`, and remembers it."""

    def __init__(self, answer: Any = None, status: int = 200) -> None:
        self.answer, self.status = answer or {}, status
        self.calls: list[tuple[str, str, str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        content = request.headers.get("Content-Type", "")
        self.calls.append((request.method, request.path_qs, content, json.loads(body) if body else None))
        return web.json_response(self.answer, status=self.status)

    def ask(self, question: Callable[[KubernetesCluster], Awaitable[T]]) -> T:
        async def main() -> T:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self.handle)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            configuration: Any = client.Configuration()
            configuration.host = f"http://127.0.0.1:{port}"
            cluster = KubernetesCluster(client.ApiClient(configuration))
            try:
                return await question(cluster)
            finally:
                await cluster.close()
                await runner.cleanup()

        return asyncio.run(main())


def test_lists_fill_in_what_their_items_leave_out() -> None:
    server = ApiServer({"items": [{"metadata": {"name": "a"}}]})
    items = server.ask(lambda cluster: cluster.list(SECRET, "street", selector="a=b"))
    assert items == [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]
    server.ask(lambda cluster: cluster.list(SOLAR_AGENT, None))
    assert [call[:2] for call in server.calls] == [
        ("GET", "/api/v1/namespaces/street/secrets?labelSelector=a%3Db"),
        ("GET", "/apis/wattmesh.io/v1alpha1/solaragents"),
    ]


def test_apply_is_forced_under_our_own_name() -> None:
    server = ApiServer(DEPLOYED)
    assert server.ask(lambda cluster: cluster.apply(DEPLOYED)) == DEPLOYED
    [(method, path, content, body)] = server.calls
    assert (method, content, body) == ("PATCH", "application/apply-patch+yaml", DEPLOYED)
    assert path == "/apis/apps/v1/namespaces/street/deployments/rooftop-0?fieldManager=wattmesh-operator&force=true"


def test_entries_of_others_that_do_not_go_with_ours_are_replaced() -> None:
    server = ApiServer({"message": 'spec.ports[1].name: Duplicate value: "http"'}, 422)
    with pytest.raises(ClusterError, match="Duplicate value"):
        server.ask(lambda cluster: cluster.apply(DEPLOYED))
    assert [(method, content, body) for method, _, content, body in server.calls] == [
        ("PATCH", "application/apply-patch+yaml", DEPLOYED),
        ("PATCH", "application/merge-patch+json", DEPLOYED),
    ]


def test_a_status_is_applied_to_the_object_that_was_seen() -> None:
    server = ApiServer(DEPLOYED)
    server.ask(lambda cluster: cluster.set_status(DEPLOYED, {"ready": "1/1"}))
    [(_, path, _, body)] = server.calls
    assert path.split("?")[0].endswith("/deployments/rooftop-0/status")
    assert body == {**DEPLOYED, "status": {"ready": "1/1"}}


def test_a_deletion_is_of_this_very_object() -> None:
    server = ApiServer({"kind": "Status"}, 404)
    server.ask(lambda cluster: cluster.delete(DEPLOYED))
    [(method, _, _, body)] = server.calls
    assert (method, body) == ("DELETE", {"propagationPolicy": "Background", "preconditions": {"uid": "u"}})


def test_metadata_is_merged_into_the_object_that_was_seen() -> None:
    server = ApiServer(DEPLOYED)
    server.ask(lambda cluster: cluster.patch_metadata(DEPLOYED, {"ownerReferences": []}))
    [(method, _, content, body)] = server.calls
    assert (method, content) == ("PATCH", "application/merge-patch+json")
    assert body == {"metadata": {"uid": "u", "ownerReferences": []}}


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (404, {"message": "no such kind"}, Missing),
        (409, {"message": "it has changed"}, Conflict),
        (403, {"message": "no", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}, NamespaceTerminating),
        (422, {"message": "spec.replicas: Invalid value"}, ClusterError),
        (500, "not what it should be", ClusterError),
    ],
)
def test_errors_say_what_was_asked_and_why_not(status: int, answer: Any, error: type[ClusterError]) -> None:
    server = ApiServer(answer, status)
    with pytest.raises(error, match=rf"^POST /apis/apps/v1/namespaces/street/deployments: {status} ") as raised:
        server.ask(lambda cluster: cluster.create(DEPLOYED))
    assert (type(raised.value), raised.value.status) == (error, status)


def test_one_that_is_not_there_is_none() -> None:
    assert ApiServer({}, 404).ask(lambda cluster: cluster.get(DEPLOYMENT, "street", "a")) is None


def test_no_answer_is_an_error_too() -> None:
    async def main() -> None:
        configuration: Any = client.Configuration()
        configuration.host = "http://127.0.0.1:1"
        cluster = KubernetesCluster(client.ApiClient(configuration))
        try:
            with pytest.raises(ClusterError, match="GET /api") as raised:
                await cluster.list(SECRET, "street")
            assert raised.value.status == 0
        finally:
            await cluster.close()

    asyncio.run(main())
