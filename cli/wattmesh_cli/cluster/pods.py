"""Which pods hold the books, by what the cluster lists. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from wattmesh_cli.books import BooksError
from wattmesh_operator.cluster.objects import MANAGED
from wattmesh_operator.desired.names import GATEWAY, POD, service_url

AGENTS = f"{MANAGED},app.kubernetes.io/component=agents"
"""Label selector of the agents' Deployments and pods."""


@dataclass(frozen=True, order=True)
class PodName:
    """A pod by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, order=True)
class AgentsPod:
    """A running pod of agents: its name, where others reach it, the gateway of its market, and its Deployment."""

    name: PodName
    url: str
    gateway: str
    deployment: str


def pods_to_read(listing: Any) -> list[AgentsPod]:
    """The running pods among a list of Deployments and pods of agents, by namespace and name.

    BooksError when a Deployment has none, or a pod does not run and no other stands in for it: without its book the
    others would be compared with less than all.
    """
    found, idle = _found(listing)
    if idle:
        more = f" (and {len(idle) - 1} more like this)" if len(idle) > 1 else ""
        raise BooksError(f"{next(iter(idle.values()))}; every book is needed{more}")
    return found


def pods_of(listing: Any, deployments: Collection[str]) -> list[AgentsPod]:
    """The running pods of Deployments in such a list of one namespace; BooksError when one of these has none."""
    found, idle = _found(listing)
    for name in deployments:
        if name not in {pod.deployment for pod in found}:
            why = next((why for runtime, why in idle.items() if runtime.name == name), f"{name}: there is no such pod")
            raise BooksError(f"{why}; it must run to take its books")
    return [pod for pod in found if pod.deployment in deployments]


def _found(listing: Any) -> tuple[list[AgentsPod], dict[PodName, str]]:
    """The running pods in order, and why those that do not run have no book to read."""
    runtimes: dict[PodName, list[Mapping[str, Any]]] = {}
    try:
        for item in listing["items"]:
            metadata = item["metadata"]
            pods = runtimes.setdefault(PodName(metadata["namespace"], metadata["labels"][POD]), [])
            if item["kind"] == "Pod":
                pods.append(item)
        running = {runtime: [pod for pod in pods if _state(pod) == "Running"] for runtime, pods in runtimes.items()}
        idle = {runtime: _why(runtime, runtimes[runtime]) for runtime in sorted(running) if not running[runtime]}
        return sorted(_agents_pod(pod) for pods in running.values() for pod in pods), idle
    except (KeyError, TypeError):
        raise BooksError("kubectl get: this is no list of Deployments and pods") from None


def _why(runtime: PodName, pods: list[Mapping[str, Any]]) -> str:
    """Why a runtime has no book to read."""
    if not pods:
        return f"{runtime}: this Deployment has no pod"
    return f"{_name(pods[-1])}: this pod is {_state(pods[-1])}, not Running"


def _name(pod: Mapping[str, Any]) -> PodName:
    return PodName(pod["metadata"]["namespace"], pod["metadata"]["name"])


def _agents_pod(pod: Mapping[str, Any]) -> AgentsPod:
    name, labels = _name(pod), pod["metadata"]["labels"]
    return AgentsPod(name, service_url(labels[POD], name.namespace), labels[GATEWAY], labels[POD])


def _state(pod: Mapping[str, Any]) -> str:
    return "Terminating" if "deletionTimestamp" in pod["metadata"] else str(pod["status"]["phase"])
