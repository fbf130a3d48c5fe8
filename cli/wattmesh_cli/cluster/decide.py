"""Telling a utility in a cluster what a person has decided, signed with the key of its gateway's registrar."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import PodName
from wattmesh_cli.cluster.port import Administration
from wattmesh_cli.cluster.registrar import registrar_of
from wattmesh_cli.deciding import ToUtility


def decide(cluster: Administration, decided: ToUtility) -> Mapping[int, int]:
    """What is billed, see `ToUtility`. BooksError when the caller may not decide, or the utility refuses."""
    return asyncio.run(_decide(cluster, decided))


async def _decide(cluster: Administration, decided: ToUtility) -> Mapping[int, int]:
    pod = PodName(*decided.book.split("/", 1))
    registrar = await registrar_of(cluster, pod, _gateway(await cluster.agents(), decided.utility))
    body, headers = decided.signed_by(registrar)
    return decided.billed_wh(*await cluster.post(pod, decided.path, body, headers))


def _gateway(listing: Any, utility: str) -> str:
    """The gateway that a UtilityAgent is registered at."""
    name, _, namespace = utility.partition(".")
    try:
        for item in listing["items"]:
            metadata = item["metadata"]
            if (item["kind"], metadata["name"], metadata["namespace"]) == ("UtilityAgent", name, namespace):
                return str(item["status"]["gateway"])
    except (KeyError, TypeError):
        pass
    raise BooksError(f"{utility}: no UtilityAgent says which gateway it is registered at")
