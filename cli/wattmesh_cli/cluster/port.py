"""What reading the books asks of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from wattmesh_cli.cluster.pods import PodName


class Cluster(Protocol):
    """A cluster, or a part of it. What cannot be had is a BooksError."""

    async def listing(self) -> Any:
        """The agents' Deployments and pods: a Kubernetes List, as parsed JSON."""

    async def agents(self) -> Any:
        """The SolarAgents and UtilityAgents: a Kubernetes List, as parsed JSON."""

    async def place(self) -> str:
        """Where it looks, for people."""

    async def secret(self, namespace: str, name: str) -> Any:
        """A Secret, as parsed JSON."""

    async def page(self, pod: PodName, path: str, headers: Mapping[str, str]) -> bytes:
        """What the pod answers to a GET of a path, such as `/ledger`."""


class Administration(Protocol):
    """What telling a pod what to do asks of a cluster. What cannot be had is a BooksError."""

    async def agents(self) -> Any:
        """See `Cluster.agents`."""

    async def secret(self, namespace: str, name: str) -> Any:
        """A Secret, as parsed JSON."""

    async def post(self, pod: PodName, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """What the pod answers to a POST: status and body."""


class AllPods(Administration, Protocol):
    """What telling all pods asks of a cluster. What cannot be had is a BooksError."""

    async def listing(self) -> Any:
        """See `Cluster.listing`."""


class Pods(Protocol):
    """What copying and restoring databases asks of a cluster. What cannot be had is a BooksError."""

    async def listing(self) -> Any:
        """See `Cluster.listing`."""

    async def place(self) -> str:
        """See `Cluster.place`."""

    async def run(self, pod: PodName, command: Sequence[str], *, given: Path | None, to: Path | None) -> None:
        """Run a command in a pod; a file is its standard input, another takes what it writes."""

    async def delete(self, pod: PodName) -> None:
        """Delete a pod, whose Deployment makes another."""
