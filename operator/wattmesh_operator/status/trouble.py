"""Why a pod does not come up: what Kubernetes says of its Deployment, the pod itself and the node, as one cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmesh_operator.cluster.objects import Object, goes, name_of, uid_of
from wattmesh_operator.resources.reasons import Reason

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_MOUNTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_SANDBOX = ("FailedCreatePodSandBox",)
_QUOTA = "exceeded quota"
_MOST_CHARACTERS = 400
_RESTARTS = 2
"""From how many on a process that is not ready is in a loop, even while it runs between two crashes."""


@dataclass(frozen=True)
class Trouble:
    """A cause, as one word for programs and in words for people."""

    reason: Reason
    message: str


def refused(message: str) -> Trouble:
    """What the API server said when it would not make something."""
    return Trouble(Reason.QUOTA_EXCEEDED if _QUOTA in message else Reason.POD_FAILED, _short(message))


def newest(pods: Iterable[Object]) -> Object | None:
    """Of the pods of one Deployment, the one that counts: those that go are replaced."""
    staying = [pod for pod in pods if not goes(pod)]
    return max(staying, key=lambda pod: (str(pod["metadata"].get("creationTimestamp")), name_of(pod)), default=None)


def waits_for_its_node(pod: Object | None) -> bool:
    """Whether a node has the pod and says nothing: what it waits for, such as a volume, is in Events only."""
    return pod is not None and _waiting(pod).get("reason") in ("ContainerCreating", "PodInitializing")


def pulled_by(pod: Object | None, events: Sequence[Object]) -> str:
    """The image that its node is pulling for a pod; empty where none is. `events` are those of pods' pulls."""
    if pod is None or not any(event.get("involvedObject", {}).get("uid") == uid_of(pod) for event in events):
        return ""
    return str(pod["spec"]["containers"][0].get("image", ""))


def trouble_of(deployment: Object | None, pod: Object | None, events: Sequence[Object] = ()) -> Trouble | None:
    """The cause why the pod of a Deployment is not up; None if there is none, or none is known.

    `events` are Warnings of pods in the namespace. The text stays the same while the cause does.
    """
    if pod is not None and not _is_ready(pod):
        found = _unschedulable(pod) or _of_container(pod) or _of_node(pod, events)
        if found is not None:
            return found
    return _of_deployment(deployment)


def _unschedulable(pod: Object) -> Trouble | None:
    for condition in _status(pod).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Trouble(Reason.UNSCHEDULABLE, _short(str(condition.get("message") or "no node fits")))
    return None


def _of_container(pod: Object) -> Trouble | None:
    waiting = _waiting(pod)
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _PULL:
        # The two states of a pull alternate; the cause is at the end of both.
        cause = message.rpartition("ErrImagePull: ")[2]
        image = pod["spec"]["containers"][0].get("image", "")
        return Trouble(Reason.IMAGE_PULL_BACK_OFF, _short(f"image {image} cannot be pulled: {cause or reason}"))
    if reason in _CONFIG:
        return Trouble(Reason.CONTAINER_CONFIG, _short(message or reason))
    container = _container(pod)
    if reason != "CrashLoopBackOff" and container.get("restartCount", 0) < _RESTARTS:
        return None
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        if ended := state.get("terminated"):
            return Trouble(Reason.CRASH_LOOP_BACK_OFF, _ended(ended))
    return Trouble(Reason.CRASH_LOOP_BACK_OFF, _short(message or reason))


def _ended(terminated: Mapping[str, Any]) -> str:
    lines = str(terminated.get("message") or "").strip().splitlines()
    code = f"exited with {terminated.get('exitCode')}"
    why = "out of memory: raise the memory limit" if terminated.get("reason") == "OOMKilled" else ""
    return _short(": ".join(part for part in (code, why or (lines[-1] if lines else "")) if part))


def _of_node(pod: Object, events: Sequence[Object]) -> Trouble | None:
    if not waits_for_its_node(pod):
        return None
    of_pod = [
        event
        for event in events
        if event.get("involvedObject", {}).get("uid") == uid_of(pod) and event.get("reason") in (*_MOUNTS, *_SANDBOX)
    ]
    if not of_pod:
        return None
    last = max(of_pod, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return Trouble(
        Reason.FAILED_MOUNT if last["reason"] in _MOUNTS else Reason.POD_FAILED, _short(str(last.get("message") or ""))
    )


def _of_deployment(deployment: Object | None) -> Trouble | None:
    for condition in ((deployment or {}).get("status") or {}).get("conditions") or ():
        if (condition.get("type"), condition.get("status")) in (("ReplicaFailure", "True"), ("Progressing", "False")):
            return refused(str(condition.get("message") or condition.get("reason") or "its pod does not come up"))
    return None


def _is_ready(pod: Object) -> bool:
    return bool(_container(pod).get("ready"))


def _waiting(pod: Object) -> Mapping[str, Any]:
    return (_container(pod).get("state") or {}).get("waiting") or {}


def _container(pod: Object) -> Mapping[str, Any]:
    containers: Sequence[Mapping[str, Any]] = _status(pod).get("containerStatuses") or ()
    return containers[0] if containers else {}


def _status(pod: Object) -> Mapping[str, Any]:
    return pod.get("status") or {}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"
