"""The resources of a namespace → what shall run, and which of them cannot, each with a reason.

A resource that is wrong, or refers to what is not there, does not keep the others from running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wattmesh_common.metering.prices import read_prices
from wattmesh_common.metering.told import MeterFileError
from wattmesh_operator.cluster.objects import Object, name_of, namespace_of
from wattmesh_operator.cluster.observation import identity_of
from wattmesh_operator.plan.participants import price_file
from wattmesh_operator.plan.pods import GatewayPlan, planned
from wattmesh_operator.plan.references import NOTHING_SETTLED, Settled, resolve_references
from wattmesh_operator.resources import BecknGateway, Resource, SolarAgent, UtilityAgent
from wattmesh_operator.resources.mistakes import Identity, ManifestErrors, Mistake
from wattmesh_operator.resources.parsing import Manifest, parse_resource
from wattmesh_operator.resources.reasons import Reason


@dataclass(frozen=True)
class Problem:
    """Why a resource cannot be made real: `reason` is one word for programs, `message` is for people."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Graph:
    """What shall run, and the problems of what cannot."""

    plans: tuple[GatewayPlan, ...]
    problems: Mapping[Identity, Problem]


def read_resources(items: Sequence[Object]) -> tuple[list[Resource], dict[Identity, Problem]]:
    """The resources in some objects, the oldest first, and the problems of those that are no valid ones."""
    resources: list[Resource] = []
    problems: dict[Identity, Problem] = {}
    # Of two that want the same name, the older one has it.
    for item in sorted(items, key=lambda item: (item["metadata"]["creationTimestamp"], name_of(item))):
        # Only what is ours to read: the API server may add to metadata what this version does not know.
        named = {"name": name_of(item), "namespace": namespace_of(item)}
        document = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": named}
        try:
            resource = parse_resource(document | {"spec": item["spec"]} if "spec" in item else document)
            if (mistake := _file_of_a_machine(resource)) is not None:
                raise ManifestErrors([mistake])
            if mistakes := _inline_mistakes(resource):
                raise ManifestErrors(mistakes)
            resources.append(resource)
        except ManifestErrors as errors:
            problems[identity_of(item)] = Problem(Reason.INVALID_SPEC, _text(errors.mistakes))
    return resources, problems


def with_replicas(resources: Sequence[Resource], replicas: Mapping[str, int]) -> list[Resource]:
    """The resources with other numbers of households, by name of their SolarAgent."""
    return [
        resource.model_copy(
            update={"spec": resource.spec.model_copy(update={"replicas": replicas[resource.metadata.name]})}
        )
        if isinstance(resource, SolarAgent) and resource.metadata.name in replicas
        else resource
        for resource in resources
    ]


def resolve(
    resources: Sequence[Resource], problems: Mapping[Identity, Problem], settled: Settled = NOTHING_SETTLED
) -> Graph:
    """What shall run, with those left out that have problems or depend on such. `problems` are those known so far."""
    left = [Manifest(resource) for resource in resources]
    found = dict(problems)
    while True:
        references = resolve_references(left, list(found), settled)
        new: dict[Identity, Problem] = {}
        for mistake in references.mistakes:
            if mistake.identity is not None and mistake.identity not in new:
                of_same = [other for other in references.mistakes if other.identity == mistake.identity]
                new[mistake.identity] = Problem(mistake.reason, _text(of_same))
        for manifest in left:
            depends = _unresolved(manifest, references.gateways, references.utilities)
            if depends is not None and manifest.identity not in new:
                new[manifest.identity] = depends
        if not new:
            return Graph(planned(left, references), found)
        found |= new
        left = [manifest for manifest in left if manifest.identity not in new]


def _unresolved(
    manifest: Manifest, gateways: Mapping[Identity, object], utilities: Mapping[Identity, object]
) -> Problem | None:
    """The problem of a resource whose reference leads to one that has a problem itself."""
    if isinstance(manifest.resource, BecknGateway):
        return None
    if manifest.identity not in gateways:
        return Problem(Reason.GATEWAY_INVALID, "its BecknGateway cannot be made real; that one's conditions say why")
    if isinstance(manifest.resource, SolarAgent) and manifest.identity not in utilities:
        return Problem(Reason.UTILITY_INVALID, "its UtilityAgent cannot be made real; that one's conditions say why")
    return None


def _file_of_a_machine(resource: Resource) -> Mistake | None:
    if isinstance(resource, UtilityAgent) and resource.spec.tariff.series and resource.spec.tariff.series.csv:
        what = (
            "is read by `wattmesh up` and `simulate` only; in a cluster use configMap, with the key prices.csv, or"
            " inline"
        )
        return Manifest(resource).mistake("spec.tariff.series.csv", what)
    profile = resource.spec.profile if isinstance(resource, SolarAgent) else None
    if profile is None or profile.config_map is not None:
        return None
    field = "csv" if profile.csv is not None else "folder"
    what = "is read by `wattmesh up` only; in a cluster use configMap, with a key <household>.csv for each household"
    return Manifest(resource).mistake(f"spec.profile.{field}", what)


def _inline_mistakes(resource: Resource) -> list[Mistake]:
    """What is wrong in prices that stand in the resource: no pod could start with them."""
    series = resource.spec.tariff.series if isinstance(resource, UtilityAgent) else None
    if series is None or series.inline is None:
        return []
    try:
        read_prices(price_file(series))
    except MeterFileError as error:
        found = [str(mistake) for mistake in error.mistakes]
    except ValueError as error:
        found = [str(error)]
    else:
        return []
    return [Manifest(resource).mistake("spec.tariff.series.inline", what) for what in found]


def _text(mistakes: Sequence[Mistake]) -> str:
    # Without the resource's own name, which stands beside it wherever this is read.
    return "; ".join(f"{mistake.path}: {mistake.what}" if mistake.path else mistake.what for mistake in mistakes)
