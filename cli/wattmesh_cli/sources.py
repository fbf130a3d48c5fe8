"""Where the commands that read take the books from: a state directory, or the pods of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.books import Book, BooksError
from wattmesh_cli.cluster.declared import Declared
from wattmesh_cli.sqlite_books import read_books, read_markets
from wattmesh_cli.state import DEFAULT_STATE
from wattmesh_cli.street_record import read_record

if TYPE_CHECKING:
    from wattmesh_beckn.evidence import SideOfContract
    from wattmesh_cli.deciding import ToUtility
    from wattmesh_cli.forgetting import Forgets, Leaver

FromStateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="Where 'wattmesh up' keeps its databases.", show_default=str(DEFAULT_STATE)
    ),
]
KubernetesOption = Annotated[
    bool, typer.Option("--kubernetes", help="Read the agents' pods of a cluster, with kubectl. Slots are in UTC.")
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NS", help="Where the pods are.", show_default="the context's namespace"),
]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Read pods of all namespaces.")]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="CTX", help="The kubeconfig's context.", show_default="the current one"),
]


@dataclass(frozen=True)
class Source:
    """Books, as often as they are asked for, and the zone of their slots' local time; all raise BooksError.

    `markets` are the same books, those together whose parties have to do with each other, as far as that is known.
    `declared` are the parties that there shall be at the moment; `evidence` is who holds what of a contract, by the
    first characters of its transaction id; `decide` tells a utility that runs what a person has decided, and gives what
    it billed (see `ToUtility`); `forget` has every pod forget a household that has left.
    """

    books: Callable[[], tuple[Book, ...]]
    markets: Callable[[], Iterable[tuple[Book, ...]]]
    declared: Callable[[], Declared]
    zone: Callable[[], tzinfo]
    evidence: Callable[[str], Sequence[SideOfContract]]
    decide: Callable[[ToUtility], Mapping[int, int]]
    forget: Callable[[Leaver], Sequence[Forgets]]


def source(
    state: Path | None, *, kubernetes: bool, namespace: str | None, all_namespaces: bool, context: str | None
) -> Source:
    """What the options choose; BooksError when they contradict each other."""
    one_of(state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context)
    if not kubernetes:
        chosen = DEFAULT_STATE if state is None else state
        return Source(
            lambda: read_books(chosen),
            lambda: read_markets(chosen),
            lambda: read_record(chosen).declared,
            lambda: read_record(chosen).zone,
            lambda transaction: _evidence().of_state(chosen, transaction),
            lambda decided: _decide(chosen, decided),
            lambda leaver: _forget(chosen, leaver),
        )
    # Only who asks for a cluster waits for these imports.
    from wattmesh_cli.cluster import read
    from wattmesh_cli.cluster.decide import decide
    from wattmesh_cli.cluster.forget import forget
    from wattmesh_cli.cluster.kubectl import Kubectl

    cluster = Kubectl(namespace, all_namespaces=all_namespaces, context=context)
    return Source(
        lambda: read.read_books(cluster),
        lambda: [read.read_books(cluster)],
        lambda: read.read_declared(cluster),
        lambda: UTC,
        lambda transaction: _evidence().of_cluster(cluster, transaction),
        lambda decided: decide(cluster, decided),
        lambda leaver: forget(cluster, leaver),
    )


def one_of(
    state: Path | None,
    *,
    kubernetes: bool,
    namespace: str | None,
    context: str | None,
    all_namespaces: bool = False,
) -> None:
    """Whether the options mean a state directory or a cluster; BooksError when they contradict each other."""
    if not kubernetes and (namespace is not None or all_namespaces or context is not None):
        raise BooksError("--namespace, --all-namespaces and --context need --kubernetes")
    if kubernetes and state is not None:
        raise BooksError("--state and --kubernetes exclude each other")
    if namespace is not None and all_namespaces:
        raise BooksError("--namespace and --all-namespaces exclude each other")


# Protocol, HTTP and the agents' databases are imported by who asks for one of these.
def _evidence() -> ModuleType:
    from wattmesh_cli import evidence

    return evidence


def _decide(state: Path, decided: ToUtility) -> Mapping[int, int]:
    from wattmesh_cli.deciding import decide_on_this_machine

    return decide_on_this_machine(state, decided)


def _forget(state: Path, leaver: Leaver) -> Sequence[Forgets]:
    from wattmesh_cli.forgetting import forget_on_this_machine

    return forget_on_this_machine(state, leaver)
