"""What a state directory remembers of its street: the manifests that it ran with, and of a study its seed.

So later commands need no manifests, and another street is kept off the books.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any

from wattmesh_cli.cluster.declared import Declared
from wattmesh_cli.state import STREET, StateError, is_empty, write_whole
from wattmesh_operator.crd.rules import IMMUTABLE
from wattmesh_operator.manifests import as_document
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import BecknGatewaySpec, Resource, SolarAgent, SolarAgentSpec
from wattmesh_operator.resources.mistakes import ManifestErrors
from wattmesh_operator.resources.parsing import parse_resource

ADVICE = "name another --state, or delete what is there and begin anew with --fresh"


class Over(StrEnum):
    """How the parties of a study talk to each other."""

    CALLS = "calls"
    MESSAGES = "messages"


@dataclass(frozen=True)
class Study:
    """What a study's ledger follows from. `fingerprint` is of the manifests and the profiles that they name."""

    seed: int
    over: Over
    mechanism: str
    fingerprint: str


@dataclass(frozen=True)
class Version:
    """What ran from slot `since` (its start, unix seconds of grid time) on."""

    since: int
    plan: GatewayPlan


@dataclass(frozen=True)
class StreetRecord:
    """A street, oldest manifests first. `study` is None where it is a live one; `demo`: the demo may begin it anew."""

    versions: tuple[Version, ...]
    study: Study | None = None
    demo: bool = False

    @property
    def plan(self) -> GatewayPlan:
        """What runs now."""
        return self.versions[-1].plan

    @property
    def zone(self) -> tzinfo:
        """The street's local time."""
        zone = self.plan.resource.spec.clock.start.tzinfo
        assert zone is not None  # noqa: S101 - the model demands one
        return zone

    @property
    def parties(self) -> frozenset[str]:
        """Subscriber ids of all households and utilities that there are now."""
        return frozenset(one.subscriber_id for pod in self.plan.pods for one in pod.participants)

    @property
    def declared(self) -> Declared:
        """These parties, and the utilities with prices that may be or have been negative."""
        return Declared(self.parties, frozenset().union(*(below_zero(version.plan) for version in self.versions)))


def below_zero(plan: GatewayPlan) -> frozenset[str]:
    """Subscriber ids of a plan's utilities with prices that may be negative."""
    utilities = (utility for pod in plan.pods for utility in pod.utilities)
    return frozenset(one.subscriber_id for one in utilities if one.tariff.may_be_negative)


def read_record(state: Path) -> StreetRecord:
    """The record of a state directory; StateError where there is none."""
    path = state / STREET
    try:
        kept = json.loads(path.read_bytes())
        study = kept["study"]
        return StreetRecord(
            tuple(Version(int(one["since"]), _plan_of(one["manifests"])) for one in kept["versions"]),
            study
            and Study(int(study["seed"]), Over(study["over"]), str(study["mechanism"]), str(study["fingerprint"])),
            bool(kept["demo"]),
        )
    except FileNotFoundError:
        text = "no street in it; 'wattmesh up' makes one, --state names another directory"
        raise StateError(
            f"{state}: {text if is_empty(state) else f'holds a street without its {STREET}; {ADVICE}'}"
        ) from None
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError, ManifestErrors):
        raise StateError(f"{path}: damaged, or of another version; restore it from a backup, or {ADVICE}") from None


def remember(
    state: Path, new: GatewayPlan, since: int, *, study: Study | None = None, demo: bool = False
) -> StreetRecord:
    """Write down that a street runs with these manifests from slot `since` on.

    StateError, with nothing written, when the directory holds another street: of another gateway, start, seed or way,
    or with no household of this one. Edited, added and removed households are the same street.
    """
    if is_empty(state):
        record = StreetRecord((Version(since, new),), study, demo)
    else:
        former = read_record(state)
        differences = list(_differences(former, new, study))
        if differences:
            raise StateError(f"{state}: holds another street: {', '.join(differences)}; {ADVICE}")
        record = replace(former, demo=demo)
        if _documents(former.plan) != _documents(new):
            kept = tuple(version for version in former.versions if version.since < since)
            record = replace(record, versions=(*kept, Version(since, new)))
    text = {
        "study": record.study and asdict(record.study),
        "demo": record.demo,
        "versions": [{"since": one.since, "manifests": _documents(one.plan)} for one in record.versions],
    }
    try:
        write_whole(state / STREET, json.dumps(text, indent=1))
    except OSError as error:
        raise StateError(f"{state}: cannot be written: {error.strerror}") from None
    return record


def _differences(former: StreetRecord, new: GatewayPlan, study: Study | None) -> Iterator[str]:
    """What makes it another street, in words."""
    if (former.study is None) != (study is None):
        yield f"{'a live one' if study else 'a study'}, which 'wattmesh {'up' if study else 'simulate'}' goes on with"
        return
    if former.plan.subscriber_id != new.subscriber_id:
        yield f"its gateway is {former.plan.subscriber_id}, not {new.subscriber_id}"
        return
    fixed = {name: value for version in former.versions for name, value in _fixed(version.plan).items()}
    wanted = _fixed(new)
    for name in [name for name in fixed if name in wanted and fixed[name] != wanted[name]]:
        yield f"its {name} is {fixed[name]}, not {wanted[name]}"
    households = frozenset[str]().union(*(_households(version.plan) for version in former.versions))
    if households and not households & _households(new):
        yield f"none of its households ({', '.join(sorted(households)[:3])} …) is in these manifests"
    if former.study and study:
        kept, given = asdict(former.study), asdict(study)
        texts = {
            "seed": f"its --seed is {former.study.seed}, not {study.seed}",
            "over": f"it is simulated with --over {former.study.over}",
            "mechanism": f"its --mechanism is {former.study.mechanism}, not {study.mechanism}",
            "fingerprint": "a study of other manifests, profiles or prices",
        }
        yield from (text for name, text in texts.items() if kept[name] != given[name])


def _fixed(of: GatewayPlan) -> Mapping[str, object]:
    """What may not change, by a name for people. The speed may: grid time stands still between runs."""
    spec = of.resource.spec
    written = spec.model_dump(by_alias=True)
    fixed: dict[str, object] = {name: written[name] for name in IMMUTABLE[BecknGatewaySpec]}
    fixed["start"] = spec.clock.start.isoformat()
    for agent in _agents(of):
        if isinstance(agent, SolarAgent):
            values = agent.spec.model_dump(by_alias=True)
            for name in ("seed", *IMMUTABLE[SolarAgentSpec]):
                fixed[f"{name} of SolarAgent {agent.metadata.name}"] = values[name]
    return fixed


def _agents(of: GatewayPlan) -> list[Resource]:
    owners = {(pod.owner.kind, pod.namespace, pod.owner.metadata.name): pod.owner for pod in of.pods}
    return list(owners.values())


def _households(of: GatewayPlan) -> frozenset[str]:
    return frozenset(household.name for pod in of.pods for household in pod.households)


def resources_of(of: GatewayPlan) -> list[Resource]:
    """The resources of a street."""
    return [of.resource, *_agents(of)]


def _documents(of: GatewayPlan) -> list[dict[str, Any]]:
    return [as_document(resource) for resource in resources_of(of)]


def _plan_of(documents: list[object]) -> GatewayPlan:
    return plan([parse_resource(document) for document in documents])[0]
