"""What a run came from, so that its report can tell: the manifests as they were understood, and a study's seed."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from wattmesh_cli.report.content import Origin
from wattmesh_cli.state import SIMULATION, StateError, is_simulation
from wattmesh_operator.plan import GatewayPlan


def origin(plan: GatewayPlan, state: Path) -> Origin:
    """The origin of the books in a state directory; StateError when its mark as a study cannot be read."""
    return Origin(manifests_text(plan), _seed(state) if is_simulation(state) else None)


def manifests_text(plan: GatewayPlan) -> str:
    """All resources of a street as YAML; what was not set is left out, and paths of profiles are absolute."""
    owners = {(owner.kind, owner.metadata.name): owner for owner in (pod.owner for pod in plan.pods)}
    documents = [
        resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for resource in (plan.resource, *owners.values())
    ]
    order = ("apiVersion", "kind", "metadata", "spec")
    return yaml.safe_dump_all(
        [{name: document[name] for name in order if name in document} for document in documents],
        sort_keys=False,
        allow_unicode=True,
    )


def _seed(state: Path) -> int:
    path = state / SIMULATION
    try:
        return int(json.loads(path.read_bytes())["seed"])
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{path}: must hold a JSON object with the study's 'seed'") from None
