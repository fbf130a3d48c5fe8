"""The Cluster port over a Kubernetes API server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client, config

from wattmesh_operator.cluster.objects import Kind, Object, kind_of, name_of, namespace_of, uid_of
from wattmesh_operator.cluster.port import (
    FIELD_MANAGER,
    ClusterError,
    Conflict,
    Missing,
    NamespaceTerminating,
)

TIMEOUT_S = 20.0
_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"


class KubernetesCluster:
    """Objects as plain JSON: the client library's models would drop the fields that they do not know."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api: Any = api  # its methods are not all typed

    @classmethod
    async def connect(cls) -> KubernetesCluster:
        """To the cluster that this process runs in, or else to the one that kubeconfig names.

        Raises kubernetes.aio.config.ConfigException when there is neither.
        """
        configuration: Any = client.Configuration()
        load: Any = config
        try:
            load.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await load.load_kube_config(client_configuration=configuration)
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def list(self, kind: Kind, namespace: str | None, *, selector: str = "", fields: str = "") -> list[Object]:
        """See Cluster."""
        query = {"labelSelector": selector, "fieldSelector": fields}
        given = {name: value for name, value in query.items() if value}
        answer = await self._call("GET", _path(kind, namespace), given)
        # The items of a list do not repeat what the list says.
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer["items"]]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See Cluster."""
        try:
            found: Object = await self._call("GET", _path(kind, namespace, name))
        except Missing:
            return None
        return found

    async def create(self, manifest: Object) -> Object:
        """See Cluster."""
        path = _path(kind_of(manifest), namespace_of(manifest))
        made: Object = await self._call("POST", path, {"fieldManager": FIELD_MANAGER}, manifest)
        return made

    async def apply(self, manifest: Object) -> Object:
        """See Cluster. Takes over fields that others have set: what the operator makes is the operator's."""
        path = _path(kind_of(manifest), namespace_of(manifest), name_of(manifest))
        try:
            made: Object = await self._call("PATCH", path, _FORCE, manifest, _APPLY)
        except ClusterError as error:
            if error.status != 422:
                raise
            # Apply keeps list entries of others. One that does not go with ours, such as a port that somebody has
            # renumbered but that has our port's name, makes it fail for good; a merge replaces the whole list.
            try:
                made = await self._call("PATCH", path, {"fieldManager": FIELD_MANAGER}, manifest, _MERGE)
            except ClusterError:
                raise error from None
        return made

    async def patch_metadata(self, item: Object, metadata: Mapping[str, Any]) -> None:
        """See Cluster."""
        path = _path(kind_of(item), namespace_of(item), name_of(item))
        body = {"metadata": {"uid": uid_of(item), **metadata}}
        await self._call("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, _MERGE)

    async def delete(self, item: Object) -> None:
        """See Cluster."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid_of(item)}}
        try:
            await self._call("DELETE", _path(kind_of(item), namespace_of(item), name_of(item)), body=options)
        except (Missing, Conflict):  # gone, or another one of that name by now
            return

    async def set_status(self, item: Object, status: Mapping[str, Any]) -> Object:
        """See Cluster."""
        # With its uid: an object of the same name that was made since has another status.
        metadata = {key: item["metadata"][key] for key in ("name", "namespace", "uid")}
        body = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "status": dict(status)}
        path = _path(kind_of(item), namespace_of(item), name_of(item)) + "/status"
        made: Object = await self._call("PATCH", path, _FORCE, body, _APPLY)
        return made

    async def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = _JSON
    ) -> Any:
        try:
            verb, url, headers, body, _ = await self._api.param_serialize(
                method,
                path,
                query_params=[],
                header_params={"Accept": _JSON, "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
            )
            if query:
                url = f"{url}?{urlencode(query)}"
            response = await self._api.call_api(
                verb, url, header_params=headers, body=body, _request_timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
            )
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(0, f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise _error(response.status, f"{method} {path}", data)
        return json.loads(data)


_FORCE = {"fieldManager": FIELD_MANAGER, "force": "true"}


def _path(kind: Kind, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{within}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")


def _error(status: int, call: str, data: bytes) -> ClusterError:
    try:
        answer = json.loads(data)
        message = str(answer.get("message", ""))
        causes = [cause.get("reason") for cause in (answer.get("details") or {}).get("causes") or ()]
    except (ValueError, AttributeError):
        message, causes = data[:200].decode(errors="replace"), []
    text = f"{call}: {status} {message}"
    if status == 404:
        return Missing(status, text)
    if status == 409:
        return Conflict(status, text)
    if status == 403 and "NamespaceTerminating" in causes:
        return NamespaceTerminating(status, text)
    return ClusterError(status, text)
