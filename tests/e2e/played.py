"""A node whose pods never run: their kubelet is a thread of the tests, and one process answers for all agents.

What the API server, the scheduler, the controllers and the operator do with them is real.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.kube import CommandFailed, Kube, Object, condition, until
from wattmesh_operator.cluster.objects import annotations_of, labels_of, name_of
from wattmesh_operator.desired.names import HOUSEHOLDS, POD

NODE = "played"
PLACED = {
    "nodeSelector": {"kubernetes.io/hostname": NODE},
    "tolerations": [{"key": NODE, "operator": "Exists"}],
}
"""What sends the pods of a resource there."""
_ANSWERS = Path(__file__).parents[2] / "bench/scale/agents.py"
_EVERY_S = 1.0
_BEAT_S = 10.0
"""How often the node says that it lives: one that does not for 50 s is taken for dead, and its pods for not ready."""


def _node() -> Object:
    taint = {"key": NODE, "value": "true", "effect": "NoSchedule"}
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    spec = {"taints": [taint]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}, "spec": spec}


def _player(image: str) -> list[Object]:
    """The pod that answers for all agents."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python", "/played/agents.py", "0.0.0.0"],  # noqa: S104 - within its pod
        "volumeMounts": [{"name": "played", "mountPath": "/played"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "volumes": [{"name": "played", "configMap": {"name": NODE}}]}
    files = {_ANSWERS.name: _ANSWERS.read_text(encoding="utf-8")}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NODE}, "data": files},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NODE}, "spec": spec},
    ]


class Kubelet:
    """Brings up what is scheduled to the node, and takes away what is deleted."""

    def __init__(self, kube: Kube, image: str) -> None:
        self._kube = kube
        self._played: dict[str, str] = {}
        self._beaten = float("-inf")
        self._done = threading.Event()
        kube.apply(_node(), *_player(image))
        self._beat()
        player = until("the player runs", lambda: kube.get("pod", NODE)["status"]["podIP"])
        until("the player answers", lambda: condition(kube.get("pod", NODE), "Ready")["status"] == "True")
        self._ip = str(player)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let the node be gone."""
        self._done.set()
        self._thread.join()
        self._kube("delete", "node", NODE)

    def _run(self) -> None:
        while not self._done.wait(_EVERY_S):
            try:
                self._beat()
                self._bring_up()
                self._follow()
            except (CommandFailed, OSError, ValueError):
                continue  # the next turn does it

    def _beat(self) -> None:
        if time.monotonic() - self._beaten < _BEAT_S:
            return
        self._beaten = time.monotonic()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
        room = {"cpu": "1000", "memory": "1000Gi", "pods": "1000", "ephemeral-storage": "1000Gi"}
        _patch(self._kube, "node", NODE, {"conditions": [ready], "capacity": room, "allocatable": room})

    def _bring_up(self) -> None:
        here = ("--all-namespaces", "--field-selector", f"spec.nodeName={NODE}", "--output", "json")
        for pod in json.loads(self._kube("get", "pods", *here))["items"]:
            self._beat()
            of = self._kube.of(pod["metadata"]["namespace"])
            if "deletionTimestamp" in pod["metadata"]:
                of("delete", "pod", name_of(pod), "--force", "--grace-period=0", "--wait=false")
            elif pod["status"].get("phase") != "Succeeded" and condition(pod, "Ready").get("status") != "True":
                _patch(of, "pod", name_of(pod), self._runs(pod))

    def _runs(self, pod: Object) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if pod["spec"]["restartPolicy"] == "Never":  # what makes a volume's folder
            return {"phase": "Succeeded"}
        kinds = ("Initialized", "ContainersReady", "Ready")
        containers = [
            {"name": one["name"], "image": one["image"], "imageID": "", "ready": True, "started": True}
            | {"restartCount": 0, "state": {"running": {"startedAt": now}}}
            for one in pod["spec"]["containers"]
        ]
        return {
            "phase": "Running",
            "podIP": self._ip,
            "podIPs": [{"ip": self._ip}],
            "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
            "containerStatuses": containers,
        }

    def _follow(self) -> None:
        """Tell the player which parties the pods have."""
        deployments = self._kube.list("deployments", POD)
        parties = {labels_of(one)[POD]: annotations_of(one).get(HOUSEHOLDS, "") for one in deployments}
        if news := {pod: names for pod, names in parties.items() if self._played.get(pod) != names}:
            self._play({pod: names.split(",") for pod, names in news.items()})
            self._played |= news

    def _play(self, pods: Mapping[str, list[str]]) -> None:
        self._kube.page(f"pod/{NODE}", "/play", pods)


def _patch(kube: Kube, kind: str, name: str, status: Object) -> None:
    kube("patch", kind, name, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))


@contextmanager
def kubelet(kube: Kube, image: str) -> Iterator[None]:
    """The node, while the block runs."""
    played = Kubelet(kube, image)
    try:
        yield
    finally:
        played.stop()
