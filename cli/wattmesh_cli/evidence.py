"""Where evidence of a contract is kept → the sides that hold it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wattmesh_agents.store.evidence import kept
from wattmesh_beckn.evidence import SideOfContract
from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pages import Pages
from wattmesh_cli.cluster.pods import pods_to_read
from wattmesh_cli.cluster.port import Cluster
from wattmesh_cli.sqlite_books import snapshots
from wattmesh_cli.street_record import read_record

_SIDES = TypeAdapter(list[SideOfContract])
_TRANSACTION = re.compile("[0-9a-f][0-9a-f-]{3,35}")


def of_state(state: Path, transaction: str) -> list[SideOfContract]:
    """The sides of the contract whose transaction id begins so, of a state directory; BooksError as in `one_contract`,
    and when the directory cannot be read.
    """
    currency = read_record(state).plan.resource.spec.currency
    with snapshots(state) as connections:
        return one_contract(
            transaction, [side for one in connections for side in kept(one, _checked(transaction), currency)]
        )


def of_cluster(cluster: Cluster, transaction: str) -> list[SideOfContract]:
    """The same, of all agents' pods of a cluster."""

    async def ask() -> list[bytes]:
        path = f"/evidence/{_checked(transaction)}"
        pages, pods = Pages(cluster), pods_to_read(await cluster.listing())
        await pages.open_all(pods)
        return [await pages.read(pod, path) for pod in pods]

    try:
        return one_contract(transaction, [side for page in asyncio.run(ask()) for side in _SIDES.validate_json(page)])
    except ValidationError as error:
        raise BooksError(f"a pod's evidence cannot be read: {error.errors()[0]['msg']}") from None


def one_contract(transaction: str, sides: Iterable[SideOfContract]) -> list[SideOfContract]:
    """These sides, if all are of one transaction; BooksError when there is none, or more."""
    found = list(sides)
    ids = sorted({side.transaction_id for side in found})
    if not ids:
        raise BooksError(f"no contract with a transaction id that begins with {transaction}; see 'wattmesh contracts'")
    if len(ids) > 1:
        raise BooksError(f"{transaction}: could be {' or '.join(ids[:5])}; give more of it")
    return found


def _checked(transaction: str) -> str:
    if not _TRANSACTION.fullmatch(transaction):
        raise BooksError(f"{transaction}: a transaction id, or four or more of its first characters, is wanted")
    return transaction
