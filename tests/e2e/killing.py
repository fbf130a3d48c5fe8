"""Ways to kill what runs in the cluster, none of which it hears before."""

from __future__ import annotations

from tests.e2e.kube import Kube, Object, command

OPERATOR_PODS = "app.kubernetes.io/component=operator"


def the_pod(kube: Kube, selector: str) -> Object:
    """The one pod with these labels. ValueError where there is none, or one that comes and one that goes."""
    [pod] = kube.list("pods", selector)
    return pod


def delete_by_force(kube: Kube, pod: Object) -> None:
    """Delete a pod at once: the next one is made while its process may still run. Raises CommandFailed."""
    kube("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")


def kill_process(pod: Object) -> None:
    """SIGKILL for the process of a pod; the kubelet starts it again, later each time. Raises CommandFailed.

    From outside, as there is no shell in our images and no signal from inside ends the first process of a container.
    """
    container = container_of(pod).removeprefix("containerd://")
    in_node = ("docker", "exec", pod["spec"]["nodeName"])
    command(*in_node, "ctr", "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", container)


def container_of(pod: Object) -> str:
    """The container that is a pod's; another one after each start. KeyError or IndexError where there is none yet."""
    container: str = pod["status"]["containerStatuses"][0]["containerID"]
    return container


def lives(kube: Kube, selector: str = "wattmesh.io/pod") -> set[str]:
    """The containers of all pods with these labels; AssertionError while one of the pods is not ready."""
    pods = kube.list("pods", selector)
    for pod in pods:
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
        assert conditions.get("Ready") == "True", f"{pod['metadata']['name']} is not ready"
        assert "deletionTimestamp" not in pod["metadata"], f"{pod['metadata']['name']} goes"
    return {container_of(pod) for pod in pods}
