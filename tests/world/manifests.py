"""Streets as people write them: manifests, and what shall run for them."""

from __future__ import annotations

from pathlib import Path

from wattmesh_operator.manifests import load
from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import BecknGateway, SolarAgent
from wattmesh_operator.resources.parsing import parse_resource

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = Path(__file__).parent / "rules"
"""The same streets with thresholds and prices that their households name."""

MARKET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: 2026-06-21T06:00:00Z, speed: 60}}
"""


def market(more: str) -> str:
    """The market with more in its spec, which is YAML in flow style, without its braces."""
    return MARKET.replace("spec: {", f"spec: {{{more}, ")


def utility(*, price: str = "0.25", fees: str = "", capacity_kw: str = "50", more: str = "") -> str:
    """A utility named `utility`. `fees` and `more` are YAML in flow style, each part after a comma."""
    return f"""
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {{name: utility}}
spec: {{tariff: {{price: {price}, feedIn: 0.08{fees}}}, capacityKw: {capacity_kw}{more}}}
"""


def households(name: str, spec: str, *, replicas: int = 1) -> str:
    """Households `name`-0, `name`-1, …; `spec` is YAML in flow style, without its braces."""
    return f"""
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {{name: {name}}}
spec: {{replicas: {replicas}, {spec}}}
"""


def planned(text: str) -> GatewayPlan:
    """What shall run for manifests of one gateway."""
    resources = [
        parse_resource(document.value, origin=document.origin, namespace="default")
        for document in read_documents("street.yaml", text)
    ]
    [result] = plan(resources)
    return result


def example(
    name: str, *, folder: Path = EXAMPLES, households_per_pod: int | None = None, speed: int | None = None
) -> GatewayPlan:
    """What shall run for a file of examples/, with that many households in a pod, or at another speed."""
    resources = list(load([folder / name]))
    for at, resource in enumerate(resources):
        changes: dict[str, object] = {}
        if isinstance(resource, SolarAgent) and households_per_pod is not None:
            changes = {"households_per_pod": households_per_pod}
        if isinstance(resource, BecknGateway) and speed is not None:
            changes = {"clock": resource.spec.clock.model_copy(update={"speed": speed})}
        if changes:
            resources[at] = resource.model_copy(update={"spec": resource.spec.model_copy(update=changes)})
    [result] = plan(resources)
    return result
