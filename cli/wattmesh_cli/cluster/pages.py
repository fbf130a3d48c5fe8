"""Pages of agents' pods, read by the right of their market's token, which lies in a Secret."""

from __future__ import annotations

from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import AgentsPod
from wattmesh_cli.cluster.port import Cluster
from wattmesh_common.reading_token import ReadingToken
from wattmesh_operator.desired.files import token_of
from wattmesh_operator.plan.naming import reader_name


class Pages:
    """Asks each market's Secret once, and shows each pod the token that opens it and no other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tokens: dict[tuple[str, str], ReadingToken] = {}

    async def open_all(self, pods: list[AgentsPod]) -> None:
        """Get what is needed to read these pods. BooksError when it cannot be had."""
        for namespace, gateway in dict.fromkeys((pod.name.namespace, pod.gateway) for pod in pods):
            secret = await self._cluster.secret(namespace, name := reader_name(gateway))
            try:
                self._tokens[namespace, gateway] = token_of(secret)
            except ValueError as error:
                raise BooksError(f"{namespace}/{name}: {error}") from None

    async def read(self, pod: AgentsPod, path: str) -> bytes:
        """What a pod answers to a path. BooksError."""
        token = self._tokens[pod.name.namespace, pod.gateway].of_pod(pod.url)
        return await self._cluster.page(pod.name, path, token.header)
