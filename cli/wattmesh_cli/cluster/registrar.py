"""The key with which the registrar of a gateway signs, for who may read its Secret."""

from __future__ import annotations

from wattmesh_beckn.signature import Signer
from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import PodName
from wattmesh_cli.cluster.port import Administration
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.keys.key_files import KeysUnreadable, signers_of
from wattmesh_operator.plan.naming import registrar_name


async def registrar_of(cluster: Administration, pod: PodName, gateway: str) -> Signer:
    """Who may tell a pod of a gateway what to do. BooksError when there is no such key to read."""
    secret = await cluster.secret(pod.namespace, registrar_name(gateway))
    try:
        return signers_of(secret)[REGISTRAR]
    except (KeysUnreadable, KeyError):
        raise BooksError(f"{pod}: the Secret of its gateway's registrar has no key of it") from None
