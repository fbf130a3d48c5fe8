"""Charts rendered by the real helm, and what Kubernetes asks of pods."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from charts.generate import CHART

Object = dict[str, Any]

RELEASE, NAMESPACE = "energy", "wattmesh-system"
FULL = [
    "monitoring.serviceMonitor=true",
    "monitoring.podMonitor=true",
    "monitoring.prometheusRule=true",
    "monitoring.dashboard=true",
    "podDisruptionBudget.enabled=true",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "networkPolicy.apiServerCidrs={10.0.0.1/32}",
    "operator.imagePullSecrets={registry}",
    "agents.storageClass=fast",
]
NAMESPACED = ["watch.namespaces={street,village}"]
CLUSTER_WIDE = ["watch.allNamespaces=true"]
COMBINATIONS = {
    "own namespace": [],
    "cluster-wide": CLUSTER_WIDE,
    "namespaced": NAMESPACED,
    "everything": FULL,
    "everything, cluster-wide": FULL + CLUSTER_WIDE,
    "everything, namespaced": FULL + NAMESPACED,
    "nothing extra": ["networkPolicy.enabled=false", "rbac.aggregate=false", "admission.guards=false"],
    "nothing cluster-scoped": ["rbac.clusterScoped=false"],
    "accounts made by others": ["rbac.create=false", "serviceAccount.create=false", "serviceAccount.name=operator"],
}


class Refused(Exception):
    """What helm said when it did not do it."""


def helm(*arguments: str) -> str:
    """What helm writes. Raises Refused."""
    program = shutil.which("helm")
    if program is None:
        raise AssertionError("helm is not on PATH; see https://helm.sh/docs/intro/install/")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def values(settings: Iterable[str]) -> list[str]:
    """These values as helm's arguments."""
    return [argument for setting in settings for argument in ("--set", setting)]


def render(settings: Sequence[str] = ()) -> list[Object]:
    """The objects of the chart with these values."""
    version = ("--kube-version", "1.34.0")  # helm's own default may be older than what the chart needs
    text = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *version, *values(settings))
    return [item for item in yaml.safe_load_all(text) if item]


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def pods(objects: Iterable[Object]) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, Any]]]:
    """Every pod that the objects make: what makes it, its labels, its spec."""
    for item in objects:
        pod = item if item["kind"] == "Pod" else item.get("spec", {}).get("template")
        if pod and "containers" in pod.get("spec", {}):
            yield f"{item['kind']}/{item['metadata']['name']}", pod["metadata"]["labels"], pod["spec"]


def against_restricted(spec: Mapping[str, Any]) -> list[str]:
    """What the restricted Pod Security Standard forbids in this pod, in the order of its page."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {v['name']}" for v in spec.get("volumes", ()) if not set(v) - {"name"} <= allowed]
    pod = spec.get("securityContext", {})
    for container in (*spec["containers"], *spec.get("initContainers", ()), *spec.get("ephemeralContainers", ())):
        own = container.get("securityContext", {})
        profile = own.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
        capabilities = own.get("capabilities", {})
        rules = {
            "privileged": not own.get("privileged"),
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", ())),
            "procMount": own.get("procMount", "Default") == "Default",
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": own.get("runAsNonRoot", pod.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", pod.get("runAsUser")) != 0,
            "seccompProfile": profile in ("RuntimeDefault", "Localhost"),
            "capabilities.drop": "ALL" in capabilities.get("drop", ()),
            "capabilities.add": set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"},
            "seLinuxOptions": not (own.get("seLinuxOptions") or pod.get("seLinuxOptions")),
            "sysctls": not pod.get("sysctls"),
        }
        found += [f"{container['name']}: {rule}" for rule, holds in rules.items() if not holds]
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", ()):
        within = labels.get(rule["key"]) in rule["values"]
        if within != {"In": True, "NotIn": False}[rule["operator"]]:
            return False
    return True
