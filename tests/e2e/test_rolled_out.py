"""A rollout on a real cluster: a bad image stops at its first pod, and goes back by `helm rollback`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.kube import Kube, Object, condition, until
from wattmesh_operator.status.trouble import newest

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

CHART = str(Path(__file__).parents[2] / "charts/wattmesh")
AGENTS = "app.kubernetes.io/component=agents"
NOBODY = "127.0.0.1:1/no/such/image"
"""An image from a registry that refuses every call at once: no matter how long a node waits for one that is silent."""


def images(street: Kube) -> dict[str, str]:
    """The image of each agents' pod by the name of its Deployment."""
    deployments = street.list("deployments", AGENTS)
    return {d["metadata"]["name"]: d["spec"]["template"]["spec"]["containers"][0]["image"] for d in deployments}


def conditions(street: Kube, kind: str) -> list[Object]:
    """That condition of all SolarAgents."""
    return [condition(agent, kind) for agent in street.list("solaragents")]


def _is_of(event: Object, pod: Object) -> bool:
    return bool(event["involvedObject"].get("uid") == pod["metadata"]["uid"])


def test_a_bad_image_stops_at_its_first_pod(street: Kube, cluster: Kube, measured: list[str]) -> None:
    before = images(street)
    bad = ("--set", f"runtimeImage.repository={NOBODY}")
    cluster.helm("upgrade", "wattmesh", CHART, "--reuse-values", *bad, "--wait", "--timeout", "3m")
    began = time.monotonic()
    [told, *_] = until(
        "the cause is told",
        lambda: [found for found in conditions(street, "Ready") if found["reason"] == "ImagePullBackOff"],
    )
    took_s, now = time.monotonic() - began, datetime.now(UTC)
    pod = newest(street.list("pods", AGENTS))
    assert pod
    [failed, *_] = [e for e in street.list("events") if e["reason"] == "Failed" and _is_of(e, pod)]
    made, tried = (
        datetime.fromisoformat(at) for at in (pod["metadata"]["creationTimestamp"], failed["firstTimestamp"])
    )
    measured.append(
        f"upgraded to a bad image → ImagePullBackOff in the status: {took_s:.1f} s,"
        f" {(now - made).total_seconds():.1f} s of it since the pod was made,"
        f" {(now - tried).total_seconds():.1f} s since its node could not pull"
    )
    assert NOBODY in told["message"]
    until(
        "the others say why they wait",
        lambda: any(found["reason"] == "RolloutHalted" for found in conditions(street, "Progressing")),
    )
    changed = [name for name, image in images(street).items() if image != before[name]]
    assert len(changed) == 1, changed
    up = {
        item["metadata"]["name"] for item in street.list("deployments", AGENTS) if item["status"].get("readyReplicas")
    }
    assert up == before.keys() - {*changed}

    cluster.helm("rollback", "wattmesh", "--wait", "--timeout", "3m")
    street.ready("beckngateway/market", "utilityagent/utility", "solaragent/rooftop", "solaragent/flat")
    assert images(street) == before


def test_a_config_map_that_is_missing_is_told(street: Kube, measured: list[str]) -> None:
    street.apply(
        {
            "apiVersion": "wattmesh.io/v1alpha1",
            "kind": "SolarAgent",
            "metadata": {"name": "measured"},
            "spec": {"profile": {"configMap": {"name": "no-such-profiles"}}},
        }
    )
    began = time.monotonic()
    found = until(
        "the cause is told",
        lambda: (
            (ready := condition(street.get("solaragent", "measured"), "Ready"))["reason"] == "FailedMount" and ready
        ),
    )
    measured.append(f"missing ConfigMap → FailedMount in the status: {time.monotonic() - began:.1f} s")
    assert "no-such-profiles" in found["message"]
    street("delete", "solaragent", "measured", timeout_s=60)
