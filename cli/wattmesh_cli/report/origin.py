"""What a run came from, so that its report can tell: the manifests as they were understood, and a study's seed."""

from __future__ import annotations

import yaml

from wattmesh_cli.report.content import Origin
from wattmesh_cli.street_record import StreetRecord, documents
from wattmesh_operator.plan import GatewayPlan


def origin(record: StreetRecord) -> Origin:
    """The origin of the books in a state directory, by what that remembers."""
    return Origin(manifests_text(record.plan), record.study.seed if record.study else None)


def manifests_text(plan: GatewayPlan) -> str:
    """All resources of a street as YAML; what was not set is left out, and paths of profiles are absolute."""
    return yaml.safe_dump_all(documents(plan), sort_keys=False, allow_unicode=True)
