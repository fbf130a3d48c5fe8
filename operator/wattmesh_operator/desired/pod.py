"""The manifests of a pod of households or of a utility."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmesh_beckn.signature import Signer
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_operator.cluster.objects import Object, annotations_of, name_of, namespace_of
from wattmesh_operator.desired.files import CONFIG_FILE, KEYS_FILE, config_map
from wattmesh_operator.desired.grid_clock import MarketClock
from wattmesh_operator.desired.manifest import Belonging, digest
from wattmesh_operator.desired.names import DATABASE, DRAINING, GRID_CLOCK, HASH, HOUSEHOLDS, service_url
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.desired.storage import WantedVolume, claim, is_retained, wanted_volume
from wattmesh_operator.desired.workload import CONFIG, KEYS, deployment, service
from wattmesh_operator.plan.pods import PodPlan, runtime_config
from wattmesh_operator.resources import SolarAgent
from wattmesh_operator.resources.pod_template import NO_TEMPLATE


@dataclass(frozen=True)
class Market:
    """What a pod must know of its gateway: the object, the registrar that may drain households, the clock, and who may
    read.
    """

    gateway: Object
    registrar: Signer
    clock: MarketClock
    token: ReadingToken

    @property
    def url(self) -> str:
        """Where the gateway is reached."""
        return service_url(name_of(self.gateway), namespace_of(self.gateway))


def pod_config(plan: PodPlan, market: Market) -> RuntimeConfig:
    """The configuration of the pod's process."""
    registrar = market.registrar
    return runtime_config(
        plan,
        gateway_url=market.url,
        epoch=market.clock.epoch,
        registrar_keys={registrar.key_id: registrar.public_key},
        readers=market.token.pod_digests(pod_url(plan)),
    )


def pod_url(plan: PodPlan) -> str:
    """Where the pod is reached; each of its households at this and its name."""
    return service_url(plan.name, plan.namespace)


def pod_volume(plan: PodPlan, settings: PodSettings) -> WantedVolume:
    """What its volume shall be."""
    return wanted_volume(plan.owner.spec.pod, settings.agent_storage, settings.storage_class)


def belonging(plan: PodPlan, owner: Object, gateway: Object) -> Belonging:
    """Whose what is made for a pod is."""
    return Belonging(owner, plan.name, name_of(gateway), gateway if isinstance(plan.owner, SolarAgent) else None)


def pod_manifests(
    plan: PodPlan,
    owner: Object,
    market: Market,
    key_ids: Mapping[str, str],
    settings: PodSettings,
    *,
    draining: Mapping[str, int] | None = None,
    present_claim: Object | None = None,
) -> list[Object]:
    """ConfigMap, claim, Service and Deployment of a pod, in the order in which they are made.

    `key_ids` are those of the participants' first keys by subscriber id: another one of the first participant rolls
    the pod. A rotation does not, since the process takes up what comes after the first key. `draining` says since which
    unix second households of the pod drain.
    """
    template = plan.owner.spec.pod or NO_TEMPLATE
    to = belonging(plan, owner, market.gateway)
    volume = pod_volume(plan, settings)
    config = pod_config(plan, market).model_dump(mode="json")
    annotations = {HOUSEHOLDS: ",".join(participant.name for participant in plan.participants)}
    if draining:
        annotations[DRAINING] = json.dumps(dict(sorted(draining.items())))
    return [
        config_map(to, config),
        claim(
            to,
            volume.size,
            volume.storage_class,
            present_claim,
            annotations={GRID_CLOCK: market.clock.model_dump_json()},
            retained=is_retained(template),
        ),
        service(to),
        deployment(
            to,
            settings,
            command=lambda name: [
                *("python", "-m", "wattmesh_agents"),
                *("--config", f"{CONFIG}/{CONFIG_FILE}"),
                *("--keys", f"{KEYS}/{KEYS_FILE}"),
                *("--database", DATABASE),
                *("--url", service_url(name, plan.namespace)),
            ],
            resources=settings.agent_resources,
            config_hash=digest(_read_at_start(plan, config, key_ids)),
            annotations=annotations,
            profiles=_profiles(plan),
            prices=plan.prices,
            env=settings.agent_env,
            template=template,
        ),
    ]


def _read_at_start(plan: PodPlan, config: Mapping[str, Any], key_ids: Mapping[str, str]) -> Any:
    """What a change of restarts the pod. Which households are in it is none of that, nor what is installed at a
    utility's customers, nor who may read: the process follows its file.

    What the spec says of one household it says of all, so the first one, which is never scaled away, stands for them.
    """
    first = plan.participants[0].subscriber_id
    utilities = [{**utility, "installed": []} for utility in config["utilities"]]
    read = {**config, "households": config["households"][:1], "utilities": utilities, "readers": []}
    return [read, {first: key_ids[first]}]


def follows(manifests: Sequence[Object], plan: PodPlan) -> str:
    """What its pod must have read; empty where it is all read at its start. The kubelet brings changed files of a pod
    within seconds when an annotation of the pod changes, and else after a minute or so.
    """
    shared = isinstance(plan.owner, SolarAgent) and plan.owner.spec.households_per_pod > 1
    return annotations_of(manifests[0])[HASH] if shared else ""


def _profiles(plan: PodPlan) -> str | None:
    profile = plan.owner.spec.profile if isinstance(plan.owner, SolarAgent) else None
    return profile.config_map.name if profile and profile.config_map else None
