"""Who reaches a market's pods, and what the API server refuses: pods that pass for a market's, writes that are not the
operator's to make.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.kube import CommandFailed, Kube, Object, until
from tests.e2e.market import SYSTEM

pytestmark = pytest.mark.e2e

AS_OPERATOR = f"--as=system:serviceaccount:{SYSTEM}:wattmesh-operator"
MARKET = {"wattmesh.io/gateway": "market"}
NO_TOKEN = {"automountServiceAccountToken": False}
OURS = {"app.kubernetes.io/managed-by": "wattmesh-operator"}
ASK = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=4).status)
except OSError:
    print("not reached")
"""


def pod(name: str, labels: dict[str, str], **spec: Any) -> Object:
    """A pod that does nothing, and could ask others by HTTP."""
    container = {
        "name": "main",
        "image": f"wattmesh/runtime:{os.environ['E2E_TAG']}",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    safe = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    body = {"containers": [container], "securityContext": safe, "terminationGracePeriodSeconds": 0, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": body}


def deployment(name: str, labels: dict[str, str], **spec: Any) -> Object:
    """A Deployment of it, without replicas."""
    made = pod(name, {"app": name, **labels}, **spec)
    template = {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}
    body = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": body}


def test_only_the_markets_own_pods_reach_it(street: Kube, cluster: Kube) -> None:
    pages = ("http://market.street.svc:8080/health/ready", "http://rooftop-0.street.svc:8080/health/ready")

    def asked(kube: Kube, who: str) -> list[str]:
        return [kube("exec", who, "--", "python", "-c", ASK, page).strip() for page in pages]

    assert asked(street, "deployment/market") == asked(street, "deployment/rooftop-0") == ["200", "200"]
    for kube in (street, cluster):
        kube.apply(pod("stranger", {"app.kubernetes.io/part-of": "wattmesh"}))
        until("the stranger runs", lambda kube=kube: kube.get("pod", "stranger")["status"]["phase"] == "Running")  # type: ignore[misc]
        assert asked(kube, "pod/stranger") == ["not reached", "not reached"]
        kube("delete", "pod", "stranger")


@pytest.mark.parametrize("make", [pod, deployment])
def test_nobody_but_the_operator_makes_pods_of_a_market(make: Callable[..., Object], street: Kube) -> None:
    with pytest.raises(CommandFailed, match="is for the pods that the operator of wattmesh makes"):
        street.apply(make("forged", MARKET))
    # People may still see to what there is.
    street("annotate", "deployment", "rooftop-0", "team=energy", "--dry-run=server")


@pytest.mark.parametrize(
    ("labels", "spec", "text"),
    [
        ({}, {}, "writes only what bears its label"),
        (OURS, {}, "have no API token"),
        (OURS, {**NO_TOKEN, "hostNetwork": True}, "nothing of their node"),
        (OURS, {**NO_TOKEN, "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "no other volumes"),
    ],
    ids=["foreign", "token", "network", "volume"],
)
def test_who_takes_over_the_operator_makes_only_pods_such_as_it_makes(
    labels: dict[str, str], spec: Object, text: str, street: Kube
) -> None:
    with pytest.raises(CommandFailed, match=text):
        street("create", "-f", "-", AS_OPERATOR, given=json.dumps(deployment("taken", labels, **spec)))


def test_who_takes_over_the_operator_changes_nothing_that_is_not_its_own(street: Kube, cluster: Kube) -> None:
    for kube in (street, cluster.of("kube-system")):
        with pytest.raises(CommandFailed, match="changes and deletes only what it has made"):
            kube("delete", "configmap", "kube-root-ca.crt", AS_OPERATOR)
    street("delete", "configmap", "flat-pod-0", AS_OPERATOR, "--dry-run=server")
