"""Whether an object is still what it shall be."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from wattmesh_operator.controller.drift import differs

DESIRED: dict[str, Any] = {
    "metadata": {"name": "rooftop-0", "labels": {"a": "1"}, "annotations": {}},
    "spec": {
        "replicas": 1,
        "template": {
            "containers": [
                {
                    "name": "main",
                    "image": "runtime:1",
                    "command": ["python", "-m"],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}},
                    "ports": [{"name": "http", "containerPort": 8080}],
                }
            ],
            "automount": False,
        },
    },
}


def live() -> dict[str, Any]:
    """The desired object as a server returns it: with its defaults, and numbers in its own form."""
    made = deepcopy(DESIRED)
    made["metadata"] |= {"uid": "u", "resourceVersion": "7", "annotations": {"deployment.kubernetes.io/revision": "1"}}
    container = made["spec"]["template"]["containers"][0]
    container |= {"terminationMessagePath": "/dev/termination-log"}
    container["ports"][0]["protocol"] = "TCP"
    container["resources"]["limits"] = {"cpu": "1", "memory": "1024Mi"}
    made["status"] = {"replicas": 1}
    del made["spec"]["template"]["automount"]
    return made


def test_what_the_server_adds_is_no_difference() -> None:
    assert differs(DESIRED, live()) == []


def test_what_others_add_is_no_difference() -> None:
    there = live()
    there["spec"]["template"]["containers"].append({"name": "sidecar"})
    there["metadata"]["labels"]["b"] = "2"
    assert differs(DESIRED, there) == []


def change_image(item: dict[str, Any]) -> None:
    item["spec"]["template"]["containers"][0]["image"] = "runtime:2"


def change_command(item: dict[str, Any]) -> None:
    item["spec"]["template"]["containers"][0]["command"].append("x")


def change_limit(item: dict[str, Any]) -> None:
    item["spec"]["template"]["containers"][0]["resources"]["limits"]["cpu"] = "2"


def remove_label(item: dict[str, Any]) -> None:
    del item["metadata"]["labels"]


def rename_container(item: dict[str, Any]) -> None:
    item["spec"]["template"]["containers"][0]["name"] = "other"


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (change_image, "spec.template.containers[main].image"),
        (change_command, "spec.template.containers[main].command"),
        (change_limit, "spec.template.containers[main].resources.limits.cpu"),
        (remove_label, "metadata.labels"),
        (rename_container, "spec.template.containers[main]"),
    ],
)
def test_what_was_edited_is_named(edit: Any, path: str) -> None:
    there = live()
    edit(there)
    assert differs(DESIRED, there) == [path]
