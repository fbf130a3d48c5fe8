"""Check every message of a street that trades against the published schemas: `make conformance SPECS=folder`.

The folder has `core-1.1.1-transaction.yaml`, `core-1.1.1-registry.yaml` and `l2-uei-p2p_trading.yaml`, as Beckn and the
energy networks publish them. A network that speaks core's words must meet core; one that speaks those of the energy
networks must meet core's frame and their layer-2 document. Where `beckn-v2.0.0-lts.yaml` is there, too, the same
messages as the codec of v2 writes them must meet that, and so must those of a street that speaks v2, and of guests
at its gateway. Exit code 1 when one message does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.conformance.schemas import Schemas
from tests.conformance.traffic import Exchange, traffic, traffic_v2
from tests.conformance.v2 import in_v2
from tests.foreign.discovery import discovered
from wattmesh_common.runtime import Vocabulary

CORE, REGISTRY, LAYER_2 = "core-1.1.1-transaction.yaml", "core-1.1.1-registry.yaml", "l2-uei-p2p_trading.yaml"
LTS = "beckn-v2.0.0-lts.yaml"
REGISTRY_PATHS = ("/lookup", "/subscribe")


class Checked:
    """What was found of each kind of message: how many, how many are wrong, and an example of what is."""

    def __init__(self) -> None:
        self.messages = Counter[tuple[str, str]]()
        self.wrong = Counter[tuple[str, str]]()
        self.examples = dict[tuple[str, str], str]()

    def check(self, schemas: Schemas, path: str, what: str, content: Any) -> None:
        """Check a request, or an answer, against the schema of its path."""
        key = (path, what)
        self.messages[key] += 1
        if (problem := schemas.problem(path, what, content)) is not None:
            self.wrong[key] += 1
            self.examples.setdefault(key, f"{problem}\n    {json.dumps(content)[:2000]}")


def check_v2(exchanges: list[Exchange], lts: Schemas) -> Checked:
    """Each message of a street that speaks v1, as the codec of v2 writes it."""
    found = Checked()
    for exchange in exchanges:
        if exchange.path not in REGISTRY_PATHS and (request := in_v2(exchange)) is not None:
            found.check(lts, f"/{request['context']['action']}", "request", request)
    return found


def guests() -> list[Exchange]:
    """What a seller and a buyer of another network and a gateway of v2 say about catalogs."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(discovered(Path(folder) / "registry.db"))[0]


def check_street_v2(exchanges: list[Exchange], lts: Schemas) -> Checked:
    """Each request and each answer of a street that speaks v2; its registry is as ever."""
    found = Checked()
    for exchange in exchanges:
        if exchange.path not in REGISTRY_PATHS:
            found.check(lts, exchange.path, "request", exchange.request)
            found.check(lts, exchange.path, "answer", exchange.answer)
    return found


def check(exchanges: list[Exchange], transaction: Schemas, registry: Schemas) -> Checked:
    """Each request and each answer."""
    found = Checked()
    for exchange in exchanges:
        if exchange.path == "/lookup" and "page" in exchange.request:
            continue  # wattmesh's own, between its operator and its gateway
        schemas = registry if exchange.path in REGISTRY_PATHS else transaction
        found.check(schemas, exchange.path, "request", exchange.request)
        found.check(schemas, exchange.path, "answer", exchange.answer)
    return found


def tell(title: str, checked: Checked) -> int:
    """Print a table; how many messages are wrong."""
    sys.stdout.write(f"{title}\n{'PATH':20}{'WHAT':10}{'MESSAGES':>9}{'VIOLATIONS':>12}\n")
    for (path, what), number in sorted(checked.messages.items()):
        sys.stdout.write(f"{path:20}{what:10}{number:9}{checked.wrong[path, what]:12}\n")
    for (path, what), example in checked.examples.items():
        sys.stdout.write(f"  {path} {what}: {example}\n")
    wrong = checked.wrong.total()
    sys.stdout.write(f"{checked.messages.total()} messages, {wrong} violations\n\n")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Run both vocabularies, and v2."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("specs", type=Path, help="folder of the published schemas")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    asked = parser.parse_args(arguments)
    if not (asked.specs / CORE).is_file():
        sys.stderr.write(f"NOT CHECKED: {asked.specs} has no {CORE}; give the folder as SPECS=…\n")
        return 0
    registry = Schemas(asked.specs / REGISTRY)
    wrong, counts = 0, dict[str, Any]()
    documents: dict[Vocabulary, str] = {"core": CORE, "deg": LAYER_2}
    found: dict[str, Checked] = {}
    for vocabulary, name in documents.items():
        exchanges = traffic(vocabulary)
        found[f"vocabulary {vocabulary}, against {name}"] = check(exchanges, Schemas(asked.specs / name), registry)
        if vocabulary == "core" and (asked.specs / LTS).is_file():
            lts = Schemas(asked.specs / LTS)
            found[f"the same written in v2, against {LTS}"] = check_v2(exchanges, lts)
            found[f"a street that speaks v2, against {LTS}"] = check_street_v2(traffic_v2(), lts)
            found[f"guests at a gateway of v2, against {LTS}"] = check_street_v2(guests(), lts)
    for title, checked in found.items():
        counts[title] = {
            f"{path} {what}": {"messages": number, "violations": checked.wrong[path, what]}
            for (path, what), number in sorted(checked.messages.items())
        }
        wrong += tell(title, checked) if asked.output == "table" else checked.wrong.total()
    if asked.output == "json":
        sys.stdout.write(json.dumps(counts, indent=2) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
