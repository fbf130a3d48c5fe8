"""A gateway's manifests."""

from __future__ import annotations

from pathlib import Path

from wattmesh_beckn.signature import Signer
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.runtime import ClockConfig, GatewayConfig
from wattmesh_operator.cluster.objects import DISRUPTION_BUDGET, Object
from wattmesh_operator.desired.files import CONFIG_FILE, KEYS_FILE, TOKEN_FILE, config_map
from wattmesh_operator.desired.grid_clock import MarketClock
from wattmesh_operator.desired.manifest import Belonging, digest, manifest
from wattmesh_operator.desired.names import DATA, selector_labels, service_url
from wattmesh_operator.desired.network import database_policy, network_policy
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.desired.storage import WantedVolume, claim, is_retained, wanted_volume
from wattmesh_operator.desired.workload import CONFIG, KEYS, READER, Shared, deployment, service
from wattmesh_operator.plan.naming import reader_name
from wattmesh_operator.plan.pods import GatewayPlan
from wattmesh_operator.resources.pod_template import NO_TEMPLATE


def gateway_config(plan: GatewayPlan, registrar: Signer, clock: MarketClock) -> GatewayConfig:
    """The configuration of a gateway's process."""
    metadata, shared = plan.resource.metadata, _shared(plan)
    return GatewayConfig(
        subscriber_id=plan.subscriber_id,
        url=service_url(metadata.name, metadata.namespace),
        domain=plan.resource.spec.domain,
        protocols=plan.resource.spec.protocols,
        clock=ClockConfig(start=clock.start, epoch=clock.epoch, speed=clock.speed),
        database=None if shared else Path(DATA, "registry.db"),
        database_uri=Path(shared.uri) if shared else None,
        registrar_keys={registrar.key_id: registrar.public_key},
    )


def gateway_volume(plan: GatewayPlan, settings: PodSettings) -> WantedVolume | None:
    """What its volume shall be; None where it keeps nothing on one."""
    if plan.resource.spec.database is not None:
        return None
    return wanted_volume(plan.resource.spec.pod, settings.gateway_storage, settings.storage_class)


def gateway_manifests(
    plan: GatewayPlan,
    owner: Object,
    signer: Signer,
    registrar: Signer,
    token: ReadingToken,
    clock: MarketClock,
    settings: PodSettings,
    present_claim: Object | None = None,
) -> list[Object]:
    """ConfigMap, claim, Service, NetworkPolicies, PodDisruptionBudget and Deployment of a gateway, in this order.

    One that keeps its registry in a file has the claim, one that shares a database the budget.

    `signer` and `registrar` are the gateway's and its registrar's keys, of which only the names are used; of its
    market's reading token only the digest is.
    """
    name, template = plan.resource.metadata.name, plan.resource.spec.pod or NO_TEMPLATE
    to = Belonging(owner, name, name)
    volume, shared, database = gateway_volume(plan, settings), _shared(plan), plan.resource.spec.database
    config = gateway_config(plan, registrar, clock).model_dump(mode="json")
    command = ["python", "-m", "wattmesh_gateway", "--config", f"{CONFIG}/{CONFIG_FILE}", "--keys"]
    return [
        config_map(to, config),
        *(
            [claim(to, volume.size, volume.storage_class, present_claim, retained=is_retained(template))]
            if volume
            else []
        ),
        service(to, replicated=shared is not None),
        *([network_policy(to, settings.network)] if settings.network else []),
        *([database_policy(to, database.port)] if settings.network and database else []),
        *([disruption_budget(to)] if shared else []),
        deployment(
            to,
            settings,
            command=lambda _: [*command, f"{KEYS}/{KEYS_FILE}", "--token", f"{READER}/{TOKEN_FILE}"],
            resources=settings.gateway_resources,
            config_hash=digest([config, signer.key_id, token.digest]),
            reader=reader_name(name),
            template=template,
            shared=shared,
        ),
    ]


def disruption_budget(to: Belonging) -> Object:
    """That of the pods which stand for each other one at a time may be evicted."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector_labels(to.pod)}}
    return manifest(DISRUPTION_BUDGET, to, {"spec": spec})


def _shared(plan: GatewayPlan) -> Shared | None:
    spec = plan.resource.spec
    if spec.database is None:
        return None
    secret = spec.database.secret_ref
    return Shared(secret.name, secret.key, spec.replicas)
