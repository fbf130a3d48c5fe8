"""What a resource says of its pods: the template, labels, and what becomes of volumes."""

from __future__ import annotations

import json

import pytest

from tests.e2e.kube import Kube, Object, condition, until
from tests.e2e.market import solar, uid_of_pod

pytestmark = pytest.mark.e2e

POD = {
    "labels": {"team": "grid"},
    "annotations": {"example.com/note": "from the template"},
    "resources": {"requests": {"cpu": "15m"}, "limits": {"memory": "300Mi"}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}
                ]
            }
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 5, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "trading",
    "imagePullSecrets": [{"name": "registry"}],
    "storage": "64Mi",
    "storageClass": "growing",
    "storageRetention": "Retain",
}
CLASSES: list[Object] = [
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "trading"},
        "value": 1000,
    },
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "growing"},
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    },
]


def quiet(**pod: object) -> Object:
    return solar("shaped", load={"annualKwh": 1000}, pod={**POD, **pod})


def test_a_pod_has_what_its_resource_says(lane: Kube) -> None:
    lane.apply(*CLASSES)
    lane.apply(quiet())
    lane.ready("solaragent/shaped")
    [pod] = lane.list("pods", "wattmesh.io/pod=shaped-0")
    spec, metadata = pod["spec"], pod["metadata"]
    assert metadata["labels"]["team"] == "grid"
    assert metadata["annotations"]["example.com/note"] == "from the template"
    [container] = spec["containers"]
    assert container["resources"]["requests"]["cpu"] == "15m"
    assert container["resources"]["limits"]["memory"] == "300Mi"
    assert "memory" in container["resources"]["requests"], "what it does not say stays as the chart has it"
    for name in ("nodeSelector", "affinity", "priorityClassName", "imagePullSecrets"):
        assert spec[name] == POD[name]
    assert spec["topologySpreadConstraints"][0]["maxSkew"] == 5
    assert [one for one in spec["tolerations"] if one["key"] == "edge"]
    claim = lane.get("persistentvolumeclaim", "shaped-0")
    assert claim["spec"]["resources"]["requests"]["storage"] == "64Mi"
    assert claim["spec"]["storageClassName"] == "growing"
    assert "ownerReferences" not in claim["metadata"]


def test_labels_of_the_resource_reach_its_pods_without_a_restart(lane: Kube) -> None:
    pod = uid_of_pod(lane, "shaped-0")
    lane("label", "solaragent", "shaped", "commit=abc", "team=other")
    lane("annotate", "solaragent", "shaped", "example.com/owner=grid-team")

    def metadata() -> Object:
        [item] = lane.list("pods", "wattmesh.io/pod=shaped-0")
        found: Object = item["metadata"]
        return found

    until("the pod has them", lambda: metadata()["labels"].get("commit") == "abc")
    until("the pod has the annotation", lambda: metadata()["annotations"].get("example.com/owner") == "grid-team")
    assert metadata()["labels"]["team"] == "grid", "spec.pod wins"
    lane("label", "solaragent", "shaped", "commit-")
    until("what was taken off goes", lambda: "commit" not in metadata()["labels"])
    assert uid_of_pod(lane, "shaped-0") == pod


def test_a_volume_grows_where_its_class_allows_it_and_else_it_is_said(lane: Kube) -> None:
    pod = uid_of_pod(lane, "shaped-0")

    def differs(name: str) -> str:
        return str(condition(lane.get("solaragent", name), "VolumeSizeDiffers").get("reason"))

    lane("patch", "solaragent", "shaped", "--type=merge", "--patch", json.dumps({"spec": {"pod": {"storage": "96Mi"}}}))
    until(
        "its claim asks for more",
        lambda: lane.get("persistentvolumeclaim", "shaped-0")["spec"]["resources"]["requests"]["storage"] == "96Mi",
    )
    # The provisioner of this cluster never does it.
    until("it is under way", lambda: differs("shaped") == "VolumeExpanding")
    assert uid_of_pod(lane, "shaped-0") == pod
    lane("patch", "solaragent", "seller", "--type=merge", "--patch", json.dumps({"spec": {"pod": {"storage": "9Gi"}}}))
    until("it cannot grow", lambda: differs("seller") == "VolumeNotExpandable")
    lane("patch", "solaragent", "seller", "--type=merge", "--patch", json.dumps({"spec": {"pod": None}}))
    until("nothing differs", lambda: differs("seller") == "None")


def test_a_retained_volume_is_taken_up_by_the_resource_that_comes_back(lane: Kube) -> None:
    claim = lane.get("persistentvolumeclaim", "shaped-0")["metadata"]["uid"]
    account = lane.get("solaragent", "shaped")["status"]["households"][0]["account"]

    lane("delete", "solaragent", "shaped", timeout_s=60)
    until("its pod is gone", lambda: lane.is_gone("deployment", "shaped-0") and lane.is_gone("secret", "shaped-0"))
    assert lane.get("persistentvolumeclaim", "shaped-0")["metadata"]["uid"] == claim

    lane.apply(quiet(storage="96Mi"))
    lane.ready("solaragent/shaped")
    assert lane.get("persistentvolumeclaim", "shaped-0")["metadata"]["uid"] == claim
    assert lane.get("solaragent", "shaped")["status"]["households"][0]["account"] == account
    lane("delete", "solaragent", "shaped", timeout_s=60)
    lane("delete", "persistentvolumeclaim", "shaped-0", "--wait=false")
    lane("delete", "storageclass/growing", "priorityclass/trading")
