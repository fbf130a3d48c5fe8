"""Rules that span resources: who refers to whom, and that all names are different."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from wattmesh_common.forget import FORGOTTEN, FORGOTTEN_IS_TAKEN
from wattmesh_operator.plan.naming import households_by_pod, reader_name, registrar_name
from wattmesh_operator.resources import BecknGateway, SolarAgent, UtilityAgent, type_of_kind
from wattmesh_operator.resources.mistakes import Identity, Mistake
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.reasons import Reason

MAX_NAME_LENGTH = 63
_AMBIGUOUS = {"BecknGateway": Reason.GATEWAY_AMBIGUOUS, "UtilityAgent": Reason.UTILITY_AMBIGUOUS}
_NOT_FOUND = {"BecknGateway": Reason.GATEWAY_NOT_FOUND, "UtilityAgent": Reason.UTILITY_NOT_FOUND}

_Kind = TypeVar("_Kind", BecknGateway, UtilityAgent)


@dataclass(frozen=True)
class References:
    """The gateway of each agent and the utility of each SolarAgent, by the agent's identity; and what is wrong.

    An agent whose reference leads nowhere is not among the keys.
    """

    gateways: dict[Identity, BecknGateway] = field(default_factory=dict)
    utilities: dict[Identity, UtilityAgent] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


@dataclass(frozen=True)
class Settled:
    """What is decided already, so that a resource that comes later does not undo it.

    `gateways` and `utilities` are the names that references which are left out have led to, by the agent's identity.
    `holders` are those who have a name in use, by the name.
    """

    gateways: Mapping[Identity, str] = field(default_factory=dict)
    utilities: Mapping[Identity, str] = field(default_factory=dict)
    holders: Mapping[str, Identity] = field(default_factory=dict)


NOTHING_SETTLED = Settled()


@dataclass(frozen=True)
class _Broken:
    """A reference that leads nowhere: its field, and why."""

    path: str
    what: str
    reason: Reason


def resolve_references(
    manifests: Sequence[Manifest], invalid: Collection[Identity] = (), settled: Settled = NOTHING_SETTLED
) -> References:
    """Follows every gatewayRef and utilityRef, written or left out, and checks that names are different.

    `invalid` are resources that are there but could not be read: to refer to one of them is no mistake. Of two that
    want one name, the first has it, unless another holds it.
    """
    references = References()
    references.mistakes.extend(_declared_twice(manifests))
    for manifest in manifests:
        if not isinstance(manifest.resource, BecknGateway):
            gateways = _in_namespace(BecknGateway, manifest, manifests)
            gateway = _gateway(manifest.resource, gateways, invalid, settled.gateways.get(manifest.identity))
            if isinstance(gateway, _Broken):
                references.mistakes.append(manifest.mistake(gateway.path, gateway.what, gateway.reason))
            elif gateway is not None:
                references.gateways[manifest.identity] = gateway
    for manifest in manifests:
        if isinstance(manifest.resource, SolarAgent):
            utilities = _in_namespace(UtilityAgent, manifest, manifests)
            utility = _utility(
                manifest,
                manifest.resource,
                utilities,
                references.gateways,
                invalid,
                settled.utilities.get(manifest.identity),
            )
            if isinstance(utility, _Broken):
                references.mistakes.append(manifest.mistake(utility.path, utility.what, utility.reason))
            elif utility is not None:
                references.utilities[manifest.identity] = utility
    references.mistakes.extend(
        manifest.mistake("metadata.name", f"is reserved: {FORGOTTEN_IS_TAKEN}", Reason.NAME_NOT_ALLOWED)
        for manifest in manifests
        if not isinstance(manifest.resource, BecknGateway) and manifest.resource.metadata.name == FORGOTTEN
    )
    references.mistakes.extend(_names_too_long(manifests))
    references.mistakes.extend(_names_taken(manifests, settled.holders))
    return references


def _in_namespace(kind: type[_Kind], manifest: Manifest, manifests: Sequence[Manifest]) -> dict[str, _Kind]:
    """The resources of that kind in the manifest's namespace, by name."""
    namespace = manifest.resource.metadata.namespace
    return {
        other.resource.metadata.name: other.resource
        for other in manifests
        if isinstance(other.resource, kind) and other.resource.metadata.namespace == namespace
    }


def _gateway(
    agent: UtilityAgent | SolarAgent,
    gateways: Mapping[str, BecknGateway],
    invalid: Collection[Identity],
    before: str | None,
) -> BecknGateway | _Broken | None:
    """The agent's gateway; None if it may be one that could not be read."""
    ref = agent.spec.gateway_ref
    if ref is None and before is not None:
        if before in gateways:
            return gateways[before]
        if Identity("BecknGateway", agent.metadata.namespace, before) in invalid:
            return None
    if ref is None:
        return _the_only(gateways, "BecknGateway", "spec.gatewayRef", f"namespace {agent.metadata.namespace}", invalid)
    if ref.name not in gateways:
        return _names_nothing(gateways, "BecknGateway", "spec.gatewayRef.name", ref.name, agent, invalid)
    return gateways[ref.name]


def _utility(
    manifest: Manifest,
    agent: SolarAgent,
    utilities: Mapping[str, UtilityAgent],
    gateways: Mapping[Identity, BecknGateway],
    invalid: Collection[Identity],
    before: str | None,
) -> UtilityAgent | _Broken | None:
    """The utility that supplies the agent; None if it may be one that could not be read, or the gateway may."""
    gateway = gateways.get(manifest.identity)
    if gateway is None:
        return None
    namespace, feeder = agent.metadata.namespace, agent.spec.feeder
    # A utility whose own gateway is not known counts as one of this gateway: that mistake is already told.
    gateway_names = {
        name: gateways.get(Identity("UtilityAgent", namespace, name), gateway).metadata.name for name in utilities
    }
    ref = agent.spec.utility_ref
    if ref is None:
        eligible = {
            name: utility
            for name, utility in utilities.items()
            if utility.spec.feeder == feeder and gateway_names[name] == gateway.metadata.name
        }
        if before in eligible:
            return eligible[before]
        scope = f"gateway {gateway.metadata.name} and feeder {feeder}"
        return _the_only(eligible, "UtilityAgent", "spec.utilityRef", scope, invalid)
    if ref.name not in utilities:
        return _names_nothing(utilities, "UtilityAgent", "spec.utilityRef.name", ref.name, agent, invalid)
    utility = utilities[ref.name]
    if gateway_names[ref.name] != gateway.metadata.name:
        what = f"must be on the same gateway ({gateway.metadata.name}); {ref.name} is on {gateway_names[ref.name]}"
        return _Broken("spec.utilityRef.name", what, Reason.UTILITY_ELSEWHERE)
    if utility.spec.feeder != feeder:
        what = f"must be on the same feeder ({feeder}); {ref.name} is on {utility.spec.feeder}"
        return _Broken("spec.utilityRef.name", what, Reason.UTILITY_ELSEWHERE)
    return utility


def _the_only(
    candidates: Mapping[str, _Kind], kind: str, path: str, scope: str, invalid: Collection[Identity]
) -> _Kind | _Broken | None:
    """The default of a reference that is left out."""
    if len(candidates) > 1:
        what = f"is missing, and {scope} has more than one {kind}; name one of {', '.join(candidates)}"
        return _Broken(path, what, _AMBIGUOUS[kind])
    for candidate in candidates.values():
        return candidate
    if _among(invalid, kind, None):
        return None
    return _Broken(path, f"is missing, and {scope} has no {kind}; declare one", _NOT_FOUND[kind])


def _names_nothing(
    candidates: Mapping[str, _Kind],
    kind: str,
    path: str,
    name: str,
    agent: UtilityAgent | SolarAgent,
    invalid: Collection[Identity],
) -> _Broken | None:
    if _among(invalid, kind, name):
        return None
    there = f"there is {', '.join(candidates)}" if candidates else "there is none"
    what = f"must be a {kind} of namespace {agent.metadata.namespace}, not {name}; {there}"
    return _Broken(path, what, _NOT_FOUND[kind])


def _among(invalid: Collection[Identity], kind: str, name: str | None) -> bool:
    """Whether one that could not be read may be the one of that kind and name (None: any)."""
    return any(
        (one.kind == kind or one.kind not in type_of_kind) and (name is None or one.name in (name, None))
        for one in invalid
    )


def _declared_twice(manifests: Sequence[Manifest]) -> Iterator[Mistake]:
    first: dict[Identity, Manifest] = {}
    for manifest in manifests:
        other = first.setdefault(manifest.identity, manifest)
        if other is not manifest:
            where = f" in {other.origin}" if other.origin else ""
            what = f"is taken: namespace {manifest.identity.namespace} has a {manifest.identity}{where}"
            yield manifest.mistake("metadata.name", what, Reason.NAME_NOT_ALLOWED)


def _names_too_long(manifests: Sequence[Manifest]) -> Iterator[Mistake]:
    for manifest in manifests:
        longest = max((name for name, _ in _names(manifest)), key=len, default="")
        if len(longest) > MAX_NAME_LENGTH:
            allowed = MAX_NAME_LENGTH - len(longest) + len(manifest.resource.metadata.name)
            yield manifest.mistake(
                "metadata.name",
                f"must have at most {allowed} characters, as {longest} must have at most {MAX_NAME_LENGTH}",
                Reason.NAME_NOT_ALLOWED,
            )


def _names_taken(manifests: Sequence[Manifest], holders: Mapping[str, Identity]) -> Iterator[Mistake]:
    """One mistake for each pair of resources that want the same name, with the first such name."""
    owner: dict[tuple[str, str], tuple[Manifest, str]] = {}
    told: set[tuple[Identity, Identity]] = set()
    for manifest in manifests:
        for name, role in _names(manifest):
            if holders.get(name) == manifest.identity:
                owner.setdefault((manifest.resource.metadata.namespace, name), (manifest, role))
    for manifest in manifests:
        for name, role in _names(manifest):
            other, other_role = owner.setdefault((manifest.resource.metadata.namespace, name), (manifest, role))
            pair = (other.identity, manifest.identity)
            if other.identity != manifest.identity and pair not in told:
                told.add(pair)
                yield manifest.mistake(
                    "metadata.name",
                    f"gives {role} {name}, a name that {other_role} of {other.identity} has;"
                    " gateways, utilities, households and pods of a namespace need different names",
                    Reason.NAME_NOT_ALLOWED,
                )


def _names(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every name that a resource takes in its namespace, and what bears it."""
    resource = manifest.resource
    if isinstance(resource, SolarAgent):
        for pod, households in households_by_pod(resource).items():
            yield from ((household, "household") for household in households)
            if pod not in households:
                yield pod, "pod"
    else:
        yield resource.metadata.name, "gateway" if isinstance(resource, BecknGateway) else "utility"
        if isinstance(resource, BecknGateway):
            yield registrar_name(resource.metadata.name), "registrar"
            yield reader_name(resource.metadata.name), "reader"
