"""The keys of households, as their Secrets have them and as the registry knows them."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass

from tests.e2e.killing import lives
from tests.e2e.kube import Kube, Object
from tests.e2e.market import counted, entries
from wattmesh_operator.desired.files import KEYS_FILE
from wattmesh_operator.desired.names import ROTATE_KEYS, ROTATED_KEYS

AGENTS = ("solaragent/flat", "solaragent/rooftop")
"""Who rotates: buyers that share a pod, and sellers."""
HOUSEHOLDS = "wattmesh.io/solaragent in (flat,rooftop)"
"""Label selector of what is theirs."""


@dataclass(frozen=True)
class Rotation:
    """What was before a rotation began, at unix second `began`.

    `former`: key ids of those who trade, by subscriber id. `containers`: those that started with these keys.
    `bad_searches`: how many searches the gateway had refused for their signature.
    """

    began: float
    former: dict[str, str]
    containers: set[str]
    bad_searches: float


def before_rotation(kube: Kube) -> Rotation:
    """What is now, with all of them ready."""
    kube.ready(*AGENTS)
    trading = {subscriber_id for subscriber_id, _ in entries(kube)}
    former = {name: keys["key_id"] for name, keys in held_keys(kube).items() if name in trading}
    return Rotation(time.time(), former, lives(kube, HOUSEHOLDS), bad_searches(kube))


def ask_for_new_keys(kube: Kube, value: str) -> None:
    """As the handbook says."""
    kube("annotate", "--overwrite", *AGENTS, f"{ROTATE_KEYS}={value}")


def has_new_keys(secret: Object, value: str) -> bool:
    """Whether a Secret has the keys that `value` asked for."""
    return bool(secret["metadata"]["annotations"].get(ROTATED_KEYS) == value)


def held_keys(kube: Kube) -> dict[str, Object]:
    """What the Secrets hold, by subscriber id."""
    files = [json.loads(base64.b64decode(secret["data"][KEYS_FILE])) for secret in kube.list("secrets", HOUSEHOLDS)]
    return {subscriber_id: held for file in files for subscriber_id, held in file.items()}


def current_keys(kube: Kube, rotation: Rotation) -> dict[str, str]:
    """The current key ids of those who rotate, by subscriber id, as the Secrets say."""
    held = held_keys(kube)
    return {name: held[name]["key_id"] for name in rotation.former}


def ends(kube: Kube, rotation: Rotation) -> set[int] | None:
    """When the former keys end, unix seconds, as the Secrets say; None until they say it of all of them."""
    held = held_keys(kube)
    found = [key["valid_until"] for name in rotation.former for key in held[name].get("retiring", ())]
    return set(found) if len(found) == len(rotation.former) and all(found) else None


def known_keys(kube: Kube) -> dict[tuple[str, str], list[Object]]:
    """All entries of buyers and sellers in the registry, whatever their status, by subscriber id and key id."""
    known: dict[tuple[str, str], list[Object]] = {}
    for role in ("BAP", "BPP"):
        for entry in json.loads(kube.page("service/market", "/lookup", {"type": role})):
            known.setdefault((entry["subscriber_id"], entry["key_id"]), []).append(entry)
    return known


def statuses(known: dict[tuple[str, str], list[Object]], keys: dict[str, str]) -> set[str]:
    """The statuses, in both roles, of keys by subscriber id."""
    return {entry["status"] for key in keys.items() for entry in known.get(key, [{"status": "missing"}])}


def keys_in_use(kube: Kube) -> dict[str, str]:
    """The key ids that the rotating households sign with, as their pods say, by subscriber id."""
    pods = sorted(kube.names("deployments", HOUSEHOLDS))
    said = [status for pod in pods for status in json.loads(kube.page(f"service/{pod}", "/status"))]
    return {status["subscriber_id"]: status["key_id"] for status in said}


def bad_searches(kube: Kube) -> float:
    """How many searches the gateway has refused for their signature since it started."""
    return counted(kube, "service/market")['wattmesh_gateway_searches_total{result="bad_signature"}']
