"""Agents' Deployments and pods as kubectl lists them, and a pod's `/ledger`."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cli.street_books import write_database
from tests.world.tokens import TOKEN
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.schema import AUDITED_TABLES
from wattmesh_cli.books import Book
from wattmesh_operator.desired.names import labels


def agent_labels(runtime: str, kind: str = "SolarAgent") -> dict[str, str]:
    """What the operator puts on a runtime's Deployment and pods."""
    return labels({"kind": kind, "metadata": {"name": runtime}}, runtime, "market")


def deployment(runtime: str, namespace: str = "default") -> dict[str, Any]:
    """A runtime's Deployment."""
    return {
        "kind": "Deployment",
        "metadata": {"name": runtime, "namespace": namespace, "labels": agent_labels(runtime)},
    }


def pod(runtime: str, phase: str = "Running", *, ending: bool = False, suffix: str = "x1") -> dict[str, Any]:
    """A pod of the runtime's Deployment."""
    metadata = {"name": f"{runtime}-{suffix}", "namespace": "default", "labels": agent_labels(runtime)}
    if ending:
        metadata["deletionTimestamp"] = "2026-06-21T12:00:00Z"
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": phase}}


def listing(*objects: dict[str, Any]) -> dict[str, Any]:
    """A Kubernetes List."""
    return {"kind": "List", "items": list(objects)}


def listing_of(books: list[Book]) -> dict[str, Any]:
    """Each book's runtime, with its pod running."""
    return listing(*[of(book.name) for of in (deployment, pod) for book in books])


def solar_agent(name: str, replicas: int, namespace: str = "default") -> dict[str, Any]:
    """A SolarAgent, as far as it says which households there shall be."""
    return {
        "kind": "SolarAgent",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas},
    }


def utility_agent(name: str, namespace: str = "default") -> dict[str, Any]:
    """A UtilityAgent, as far as it says which utility there shall be, and at what tariff."""
    spec = {"tariff": {"price": 0.3, "feedIn": 0.08}}
    return {"kind": "UtilityAgent", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def reader_secret(namespace: str, name: str) -> dict[str, Any]:
    """The Secret with the reading token of the market that the agents' labels name."""
    assert (namespace, name) == ("default", "market-reader")
    return {"kind": "Secret", "metadata": {"name": name}, "data": {"token": b64encode(TOKEN.text.encode()).decode()}}


def answer_of(book: Book, tmp_path: Path) -> dict[str, Any]:
    """What a pod with these rows answers to `/ledger`."""
    path = tmp_path / f"answer-{book.name}.db"
    write_database(path, book)
    with closing(sqlite3.connect(path)) as connection:
        return {table: table_rows(connection, table) for table in AUDITED_TABLES}
