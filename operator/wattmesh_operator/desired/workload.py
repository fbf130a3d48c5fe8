"""Services and Deployments: one pod that keeps state, its probes, its limits and its rights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmesh_operator.cluster.objects import DEPLOYMENT, SERVICE, Object
from wattmesh_operator.desired.manifest import Belonging, manifest
from wattmesh_operator.desired.names import CONFIG_HASH, CONTAINER, DATA, PORT, REVISION, selector_labels
from wattmesh_operator.desired.revision import revision
from wattmesh_operator.desired.settings import LOG_FORMAT, EnvVar, PodSettings, Resources
from wattmesh_operator.plan.participants import PRICES, PROFILES
from wattmesh_operator.resources.pod_template import NO_TEMPLATE, PodTemplate

CONFIG = "/etc/wattmesh/config"
KEYS = "/etc/wattmesh/keys"
READER = "/etc/wattmesh/reader"
GROUP_ID = 65532
"""Group that owns the files on the volume; that of the image's user."""
GRACE_S = 30
"""How long a stop may take: the processes give calls under way 10 s."""


LINGER_S = 5
"""How long a pod that has others beside it still answers when it is to stop: until nobody is sent to it any more."""
_LINGER = ["python", "-c", f"import time; time.sleep({LINGER_S})"]
_ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


@dataclass(frozen=True)
class Shared:
    """The Secret and its key with the URI of the database that `replicas` pods share."""

    secret: str
    key: str
    replicas: int

    @property
    def uri(self) -> str:
        """The file in a pod that has it."""
        return f"{DATA}/{self.key}"

    def volume(self) -> dict[str, Any]:
        """What a pod has in the place of a volume of its own."""
        items = [{"key": self.key, "path": self.key}]
        return {"secret": {"secretName": self.secret, "defaultMode": 0o440, "items": items}}


def service(to: Belonging, *, replicated: bool = False) -> Object:
    """The Service of a pod, or of the `replicated` pods that stand for each other."""
    spec = {
        "type": "ClusterIP",
        "selector": selector_labels(to.pod),
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP", "targetPort": "http"}],
        # Where there is one pod and no other to turn to, one that catches up can already answer what others wait for.
        "publishNotReadyAddresses": not replicated,
    }
    return manifest(SERVICE, to, {"spec": spec})


def deployment(
    to: Belonging,
    settings: PodSettings,
    *,
    command: Callable[[str], Sequence[str]],
    resources: Resources,
    config_hash: str,
    annotations: Mapping[str, str] | None = None,
    profiles: str | None = None,
    prices: str | None = None,
    reader: str | None = None,
    env: Sequence[EnvVar] = (),
    template: PodTemplate = NO_TEMPLATE,
    shared: Shared | None = None,
) -> Object:
    """The Deployment of a pod; never two at once on one volume. `config_hash` rolls the pod when it changes.
    `command` gives the command for a pod of that name. Pods that keep what they know in a `shared` database have no
    volume, and may be several.

    `profiles` and `prices` are the ConfigMaps with its households' profiles and with the prices of its tariff, if there
    are any; `reader` is the Secret with the market's reading token, if it is to have it; `env` is more environment;
    `template` is what the resource says of its pods.
    """

    def pod(name: str) -> dict[str, Any]:
        return _pod(
            name,
            settings,
            command=command(name),
            resources=resources,
            files=[(folder, of) for folder, of in ((PROFILES, profiles), (PRICES, prices)) if of is not None],
            reader=reader,
            env=env,
            template=template,
            shared=shared,
        )

    spec = {
        "replicas": shared.replicas if shared else 1,
        "revisionHistoryLimit": 1,
        # Longer than the startup probe gives a process.
        "progressDeadlineSeconds": 180,
        "selector": {"matchLabels": selector_labels(to.pod)},
        "strategy": _ONE_BY_ONE if shared else {"type": "Recreate"},
        "template": {
            "metadata": {
                "labels": {**template.labels, **to.labels},
                "annotations": {**template.annotations, CONFIG_HASH: config_hash},
            },
            "spec": pod(to.pod),
        },
    }
    told = {**(annotations or {}), REVISION: str(revision(spec["template"], pod(""), to.owner))}
    return manifest(DEPLOYMENT, to, {"spec": spec}, annotations=told)


def _pod(
    name: str,
    settings: PodSettings,
    *,
    command: Sequence[str],
    resources: Resources,
    files: Sequence[tuple[str, str]],
    reader: str | None,
    env: Sequence[EnvVar],
    template: PodTemplate,
    shared: Shared | None,
) -> dict[str, Any]:
    """The spec of a pod of that name. `files` are ConfigMaps, each with the folder that it is mounted at."""
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": list(command),
        "env": [
            {"name": LOG_FORMAT, "value": settings.pod_log_format},
            *(variable.entry() for variable in env),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _resources(resources, template),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # Two minutes for a big ledger or a slow disk; then liveness takes over.
        "startupProbe": _probe("/health/live", every_s=1, failures=120),
        "livenessProbe": _probe("/health/live", every_s=10, failures=3),
        "readinessProbe": _probe("/health/ready", every_s=2, failures=3),
        # The end of the log of a process that failed is what its resource's status says.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            {"name": "keys", "mountPath": KEYS, "readOnly": True},
            {"name": "data", "mountPath": DATA, **({"readOnly": True} if shared else {})},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - SQLite sorts there
        ],
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "fsGroup": GROUP_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
        },
        "terminationGracePeriodSeconds": GRACE_S,
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": name}},
            {"name": "keys", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "data", **(shared.volume() if shared else {"persistentVolumeClaim": {"claimName": name}})},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    if shared:
        container["lifecycle"] = {"preStop": {"exec": {"command": _LINGER}}}
        pod["affinity"] = _on_different_nodes(name)
    for folder, config_map in files:
        volume = folder.rpartition("/")[2]
        container["volumeMounts"].append({"name": volume, "mountPath": folder, "readOnly": True})
        pod["volumes"].append({"name": volume, "configMap": {"name": config_map}})
    if reader is not None:
        container["volumeMounts"].append({"name": "reader", "mountPath": READER, "readOnly": True})
        pod["volumes"].append({"name": "reader", "secret": {"secretName": reader, "defaultMode": 0o440}})
    return pod | template.pod_fields()


def _on_different_nodes(pod: str) -> dict[str, Any]:
    """Where there are several nodes, one that goes shall not take all of them."""
    term = {"labelSelector": {"matchLabels": selector_labels(pod)}, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _resources(usual: Resources, template: PodTemplate) -> dict[str, dict[str, str]]:
    """What the resource says of its own pods, amount by amount, else what holds for all."""
    own = template.resources
    requests, limits = (own.requests, own.limits) if own else ({}, {})
    return {
        "requests": {**usual.get("requests", {}), **requests},
        "limits": {**usual.get("limits", {}), **limits},
    }


def _probe(path: str, *, every_s: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": every_s,
        "timeoutSeconds": min(every_s + 1, 5),
        "failureThreshold": failures,
    }
