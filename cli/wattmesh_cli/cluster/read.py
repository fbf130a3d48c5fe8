"""Reading the books of all agents' pods."""

from __future__ import annotations

import asyncio
import json

from rich.console import Console
from rich.progress import Progress

from wattmesh_cli.books import Book, BooksError
from wattmesh_cli.cluster.declared import Declared, declared
from wattmesh_cli.cluster.ledger import book_of
from wattmesh_cli.cluster.pages import Pages
from wattmesh_cli.cluster.pods import AGENTS, PodName, pods_to_read
from wattmesh_cli.cluster.port import Cluster

AT_ONCE = 8
"""How many pods are asked at a time."""


def read_books(cluster: Cluster) -> tuple[Book, ...]:
    """The books of all agents' pods, by namespace and name; BooksError when there are none, or one cannot be had.

    Each is one moment of its pod; the moments differ by as much as asking all pods takes.
    """
    return asyncio.run(_read(cluster))


def read_declared(cluster: Cluster) -> Declared:
    """What the cluster's SolarAgents and UtilityAgents declare; BooksError when these cannot be had."""
    return declared(asyncio.run(cluster.agents()))


async def _read(cluster: Cluster) -> tuple[Book, ...]:
    pods = pods_to_read(await cluster.listing())
    if not pods:
        raise BooksError(
            f"no pods with the labels {AGENTS} in {await cluster.place()}; --namespace or --all-namespaces looks "
            "elsewhere"
        )
    pages = Pages(cluster)
    await pages.open_all(pods)
    waiting = iter(pods)
    books: dict[PodName, Book] = {}
    errors: list[BooksError] = []
    console = Console(stderr=True)
    shown = console.is_terminal and len(pods) > AT_ONCE
    with Progress(console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("Reading the books", total=len(pods))

        async def ask() -> None:
            for pod in waiting:
                try:
                    books[pod.name] = book_of(str(pod.name), _parsed(pod.name, await pages.read(pod, "/ledger")))
                except BooksError as error:
                    errors.append(error)
                if errors:
                    return  # what others are asking comes to its end, and leaves no forwarded port behind
                progress.advance(bar)

        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    if errors:
        raise errors[0]
    return tuple(books[pod.name] for pod in pods)


def _parsed(pod: PodName, answer: bytes) -> object:
    try:
        return json.loads(answer)
    except ValueError:
        raise BooksError(f"{pod}: /ledger is not JSON") from None
