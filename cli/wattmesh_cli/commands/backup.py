"""`wattmesh backup` and `wattmesh restore`: copies of all books, and what is made of them again."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmesh_cli.backups import Contents, back_up_state, read_backup, restore_state
from wattmesh_cli.books import BooksError
from wattmesh_cli.output import refuse
from wattmesh_cli.places import fetched, stored
from wattmesh_cli.sources import ContextOption, FromStateOption, NamespaceOption, one_of
from wattmesh_cli.state import DEFAULT_STATE
from wattmesh_cli.tables import say

KubernetesOption = Annotated[
    bool, typer.Option("--kubernetes", help="The agents' pods of a cluster, with kubectl, which runs commands in them.")
]
PLACE = "Folder, or URL of a file system that fsspec knows, such as s3://bucket/path (extra 'backup')."


def backup(
    to: Annotated[str, typer.Argument(metavar="DEST", help=f"{PLACE} Nothing may be there yet.")],
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
) -> None:
    """Copy all books, each pod's as of one moment, while the street trades.

    Of a state directory the backup has everything, keys too. Of a cluster it has the databases of the agents' pods in a
    namespace, and no Secrets.
    """
    try:
        one_of(state, kubernetes=kubernetes, namespace=namespace, context=context)
        with stored(to) as folder:
            if kubernetes:
                # Only who asks for a cluster waits for these imports.
                from wattmesh_cli.cluster.backup import back_up_cluster
                from wattmesh_cli.cluster.kubectl import Kubectl

                made = back_up_cluster(Kubectl(namespace, context=context), folder)
            else:
                made = back_up_state(state or DEFAULT_STATE, folder)
    except BooksError as error:
        refuse(error)
    say(f"{to}: {_number(made)}")


def restore(
    source: Annotated[str, typer.Argument(metavar="SRC", help=PLACE)],
    pods: Annotated[
        list[str] | None, typer.Argument(metavar="POD", help="Only these pods, by the names of their Deployments.")
    ] = None,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
) -> None:
    """Put the books of a backup in the place of what there is, of all pods in it or of some.

    What was booked there since is lost, but for what partners hold signed: on its start each party asks them for it.
    On one machine the street must not be running. In a cluster the pods must be, and are started anew.
    """
    try:
        one_of(state, kubernetes=kubernetes, namespace=namespace, context=context)
        with fetched(source) as folder:
            kept = read_backup(folder)
            chosen = kept.chosen(pods or [])
            if kubernetes:
                from wattmesh_cli.cluster.backup import restore_cluster
                from wattmesh_cli.cluster.kubectl import Kubectl

                restore_cluster(Kubectl(namespace, context=context), kept, chosen)
            else:
                restore_state(state or DEFAULT_STATE, kept, chosen)
    except BooksError as error:
        refuse(error)
    log = "kubectl logs" if kubernetes else "the event log of 'wattmesh up'"
    say(f"{', '.join(chosen)}: as of {kept.contents.made:%Y-%m-%d %H:%M:%S} UTC; {log} says what partners know since")


def _number(made: Contents) -> str:
    parties = sum(len(kept.parties) for kept in made.pods.values())
    pods = "1 pod" if len(made.pods) == 1 else f"{len(made.pods)} pods"
    return f"{pods} with the books of {parties} {'party' if parties == 1 else 'parties'}"
