"""Copying the databases of a namespace's pods, and restoring them, by commands that run in the pods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from wattmesh_cli.backups import Backup, Contents, finish, new_backup
from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import AGENTS, AgentsPod, pods_of, pods_to_read
from wattmesh_cli.cluster.port import Pods
from wattmesh_operator.desired.names import DATABASE

AT_ONCE = 8
"""How many pods copy at a time."""
_BACKUP = ("python", "-m", "wattmesh_agents.backup")


def back_up_cluster(cluster: Pods, folder: Path) -> Contents:
    """Copy the database of each agents' pod while it trades. BooksError when there is none, or one cannot be had."""
    return asyncio.run(_back_up(cluster, folder))


def restore_cluster(cluster: Pods, backup: Backup, names: Sequence[str]) -> None:
    """Put copies in the place of these pods' databases, and have the pods started anew. BooksError.

    None starts before all are silent: one that began to trade with what another has not lost yet would be wrong again.
    """
    asyncio.run(_restore(cluster, backup, names))


async def _back_up(cluster: Pods, folder: Path) -> Contents:
    pods = pods_to_read(await cluster.listing())
    if not pods:
        raise BooksError(f"no pods with the labels {AGENTS} in {await cluster.place()}; --namespace looks elsewhere")
    with new_backup(folder):

        async def take(pod: AgentsPod) -> None:
            copy = folder / f"{pod.deployment}.db"
            await cluster.run(pod.name, (*_BACKUP, "take", DATABASE), given=None, to=copy)

        await _each(pods, take)
        return finish(folder, [pod.deployment for pod in pods])


async def _restore(cluster: Pods, backup: Backup, names: Sequence[str]) -> None:
    pods = pods_of(await cluster.listing(), names)
    silent: list[AgentsPod] = []

    async def put(pod: AgentsPod) -> None:
        copy = backup.copy_of(pod.deployment)
        await cluster.run(pod.name, (*_BACKUP, "put", DATABASE), given=copy, to=None)
        silent.append(pod)

    try:
        await _each(pods, put)
    finally:
        await asyncio.gather(*(cluster.delete(pod.name) for pod in silent))


async def _each(pods: Iterable[AgentsPod], work: Callable[[AgentsPod], Awaitable[None]]) -> None:
    """Do something with each pod, some at a time; after a failure none is begun, and the first is raised."""
    waiting, errors = iter(pods), list[BooksError]()

    async def go_on() -> None:
        for pod in waiting:
            try:
                await work(pod)
            except BooksError as error:
                errors.append(error)
            if errors:
                return

    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    if errors:
        raise errors[0]
