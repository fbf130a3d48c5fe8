"""What the operator is told at start: where it works, and what the pods that it makes shall have."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattmesh_operator.desired.quantity import quantity

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
LOG_FORMATS = ("text", "json")
SHORTEST_OVERLAP_S = 120
"""A pod sees a changed Secret after a minute or so: the kubelet's pace."""
LONGEST_OVERLAP_S = 7 * 86_400
_LOG_FORMAT = "LOG_FORMAT"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _resources() -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


@dataclass(frozen=True)
class PodSettings:
    """What pods have that no resource says. Figures are Kubernetes quantities; no `storage_class`: the default one.

    `key_overlap_s` is how long a former key holds beside its successor.
    """

    image: str
    pull_policy: str = "IfNotPresent"
    log_format: str = "text"
    agent_resources: Mapping[str, Mapping[str, str]] = field(default_factory=_resources)
    gateway_resources: Mapping[str, Mapping[str, str]] = field(default_factory=_resources)
    agent_storage: str = "1Gi"
    gateway_storage: str = "1Gi"
    storage_class: str = ""
    key_overlap_s: int = 900
    agent_env: Sequence[Mapping[str, Any]] = ()
    """More environment of the agents' containers: each a name with a value, or with a key of a Secret or ConfigMap."""


@dataclass(frozen=True)
class Settings:
    """Where the operator works (no `namespaces`: in all), where it answers HTTP, and its pods."""

    namespaces: tuple[str, ...]
    host: str
    port: int
    pods: PodSettings


def read_settings(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """From the command line, and from WATTMESH_* variables for what is not there.

    Exits with 2 and a line of text when something is missing or wrong.
    """
    env = os.environ if environ is None else environ
    parser = _parser(env)
    options = parser.parse_args(arguments)
    namespaces: list[str] = options.namespace or []
    everywhere: bool = options.all_namespaces
    if not namespaces and not everywhere:  # what the command line says replaces what the environment says
        namespaces = env.get("WATTMESH_NAMESPACES", "").replace(",", " ").split()
        everywhere = env.get("WATTMESH_ALL_NAMESPACES", "").lower() in ("1", "true", "yes")
    if bool(namespaces) == everywhere:
        parser.error("say where to work: --namespace NAME (may be repeated), or --all-namespaces")
    return Settings(
        namespaces=tuple(dict.fromkeys(namespaces)),
        host=options.host,
        port=options.port,
        pods=PodSettings(
            image=options.image,
            pull_policy=options.pull_policy,
            log_format=options.pod_log_format,
            agent_resources=options.agent_resources,
            gateway_resources=options.gateway_resources,
            agent_storage=options.agent_storage,
            gateway_storage=options.gateway_storage,
            storage_class=options.storage_class,
            key_overlap_s=options.key_overlap,
            agent_env=options.agent_env,
        ),
    )


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattmesh_operator",
        description="Makes SolarAgents, UtilityAgents and BecknGateways real. "
        "An option that is not given is taken from WATTMESH_<OPTION>, such as WATTMESH_PULL_POLICY; "
        "namespaces from WATTMESH_NAMESPACES (with commas between) or WATTMESH_ALL_NAMESPACES=true.",
    )

    def add(name: str, default: str | None, **more: Any) -> None:
        value = env.get(f"WATTMESH_{name.upper().replace('-', '_')}") or default
        parser.add_argument(f"--{name}", default=value, required=value is None, **more)

    parser.add_argument("--namespace", action="append", help="work in this namespace; may be repeated")
    parser.add_argument("--all-namespaces", action="store_true", help="work in all namespaces")
    figures = json.dumps(_resources())
    add("image", None, help="image of gateway and agents")
    add("pull-policy", "IfNotPresent", choices=PULL_POLICIES, help="when nodes pull it")
    add("pod-log-format", "text", choices=LOG_FORMATS, help="how gateway and agents write their logs")
    add("agent-resources", figures, type=_read_resources, help="requests and limits of an agents' container, JSON")
    add("gateway-resources", figures, type=_read_resources, help="requests and limits of a gateway's, JSON")
    add("agent-env", "[]", type=_read_env, help="more environment of an agents' container, JSON as in a pod")
    add("agent-storage", "1Gi", type=_read_storage, help="size of an agents' volume")
    add("gateway-storage", "1Gi", type=_read_storage, help="size of a gateway's volume")
    add("storage-class", "", help="class of these volumes; the cluster's default one if empty")
    add("key-overlap", "15m", type=_read_overlap, help="how long a former key holds beside its successor; such as 15m")
    add("host", "0.0.0.0", help="address to answer health and metrics on")  # noqa: S104 - a container's is its own
    add("port", "8080", type=int, help="port to answer them on")
    return parser


def _read_overlap(text: str) -> int:
    match = re.fullmatch("([0-9]{1,6})([smh])", text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not SHORTEST_OVERLAP_S <= seconds <= LONGEST_OVERLAP_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time from 2m to 168h, such as 15m")
    return seconds


def _read_storage(text: str) -> str:
    quantity(text)
    return text


def _read_env(text: str) -> list[dict[str, Any]]:
    entries = json.loads(text)
    if not isinstance(entries, list):
        raise argparse.ArgumentTypeError("must be a JSON list of environment variables")
    names: set[str] = {_LOG_FORMAT}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise argparse.ArgumentTypeError("each variable needs a name of letters, digits and '_'")
        if name in names:
            raise argparse.ArgumentTypeError(f"{name} is set already")
        names.add(name)
        match {key: value for key, value in entry.items() if key != "name"}:
            case {"value": str(), **more} if not more:
                pass
            case {"valueFrom": source, **more} if not more and _is_reference(source):
                pass
            case _:
                text = f"{name} needs a value (text), or valueFrom with one secretKeyRef or configMapKeyRef"
                raise argparse.ArgumentTypeError(text)
    return entries


def _is_reference(source: object) -> bool:
    # Others, fieldRef above all, are completed by the API server, which would look like drift.
    match source:
        case {"secretKeyRef": {"name": str(), "key": str()}, **more} if not more:
            return True
        case {"configMapKeyRef": {"name": str(), "key": str()}, **more} if not more:
            return True
        case _:
            return False


def _read_resources(text: str) -> dict[str, dict[str, str]]:
    figures = json.loads(text)
    if not isinstance(figures, dict) or not all(isinstance(part, dict) for part in figures.values()):
        raise ValueError("must be a JSON object of requests and limits")
    # A chart may write 1 for a whole core.
    read = {part: {name: str(value) for name, value in amounts.items()} for part, amounts in figures.items()}
    for amounts in read.values():
        for amount in amounts.values():
            quantity(amount)
    return read
