"""The manifests of gateways and agents."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.operator.world import STREET
from tests.world.tokens import ANOTHER, TOKEN
from wattmesh_beckn.signature import Signer
from wattmesh_common.runtime import GatewayConfig, RuntimeConfig
from wattmesh_operator.cluster.objects import Object, kind_of
from wattmesh_operator.desired.files import key_secret
from wattmesh_operator.desired.gateway import gateway_config, gateway_manifests
from wattmesh_operator.desired.grid_clock import MarketClock
from wattmesh_operator.desired.manifest import Belonging, digest
from wattmesh_operator.desired.names import selector_labels, selector_of
from wattmesh_operator.desired.pod import Market, pod_config, pod_manifests
from wattmesh_operator.desired.settings import EnvVar, Network, PodSettings
from wattmesh_operator.desired.storage import claim
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import Resource

SETTINGS = PodSettings(image="runtime:1", agent_storage="2Gi", storage_class="fast", pod_log_format="json")
GATEWAY: Object = {
    "apiVersion": "wattmesh.io/v1alpha1",
    "kind": "BecknGateway",
    "metadata": {"name": "market", "namespace": "default", "uid": "g", "creationTimestamp": "2026-11-22T21:00:00Z"},
}
ROOFTOP: Object = {
    "apiVersion": "wattmesh.io/v1alpha1",
    "kind": "SolarAgent",
    "metadata": {"name": "rooftop", "namespace": "default", "uid": "r"},
}


def signer(subscriber_id: str, number: int = 1) -> Signer:
    return Signer.from_seed(subscriber_id, f"00000000-0000-4000-8000-{number:012d}", bytes([number]) * 32)


REGISTRAR = signer("registrar", 2)
CLOCK = MarketClock(start=datetime(2026, 6, 21, 6, tzinfo=UTC), epoch=1_795_381_200, speed=120, since=1_795_381_200)
MARKET = Market(GATEWAY, REGISTRAR, CLOCK, TOKEN)


@pytest.fixture
def street(resources_of: Callable[[str], Sequence[Resource]]) -> GatewayPlan:
    text = "\n".join(
        f"apiVersion: wattmesh.io/v1alpha1\n{line}" if line.startswith("kind:") else line
        for line in STREET.splitlines()
    )
    [gateway] = plan(resources_of(text))
    return gateway


def rooftop(street: GatewayPlan, key: int = 1, **changes: Any) -> list[Object]:
    """The manifests of rooftop-0."""
    return pod_manifests(
        street.pods[1],
        ROOFTOP,
        MARKET,
        {"rooftop-0.default": signer("rooftop-0.default", key).key_id},
        SETTINGS,
        **changes,
    )


def of_utility(street: GatewayPlan) -> list[Object]:
    """The manifests of the utility."""
    [participant] = street.pods[0].participants
    key_id = signer(participant.subscriber_id).key_id
    return pod_manifests(street.pods[0], ROOFTOP, MARKET, {participant.subscriber_id: key_id}, SETTINGS)


def market(street: GatewayPlan) -> list[Object]:
    return gateway_manifests(street, GATEWAY, signer("market.default"), REGISTRAR, TOKEN, CLOCK, SETTINGS)


def test_a_market_is_reached_by_itself_the_operator_and_who_reads_metrics(street: GatewayPlan) -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    network = {
        "operatorNamespace": "wattmesh-system",
        "operatorLabels": {"app.kubernetes.io/component": "operator"},
        "metricsFrom": [monitoring],
        "agentEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443}]}, {}],
    }
    settings = PodSettings(image="runtime:1", network=Network.model_validate(network))
    kinds = [
        (item["kind"], item)
        for item in gateway_manifests(street, GATEWAY, signer("market.default"), REGISTRAR, TOKEN, CLOCK, settings)
    ]
    assert [kind for kind, _ in kinds][-2:] == ["NetworkPolicy", "Deployment"]
    policy, deployment = (item for _, item in kinds[-2:])
    spec = policy["spec"]
    ours = {"podSelector": {"matchExpressions": [{"key": "wattmesh.io/gateway", "operator": "Exists"}]}}
    operator = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "wattmesh-system"}},
    }
    http = [{"port": 8080, "protocol": "TCP"}]
    assert spec["podSelector"] == {"matchLabels": {"wattmesh.io/gateway": "market"}}
    assert spec["ingress"] == [{"ports": http, "from": [ours, operator, monitoring]}]
    dns, within, *more = spec["egress"]
    assert [(port["port"], port["protocol"]) for port in dns["ports"]] == [(53, "UDP"), (53, "TCP")]
    assert within == {"ports": http, "to": [ours]}
    # As the API server would complete it, or it would look edited for ever.
    assert more == [
        {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]},
        {},
    ]
    for pod in (template(deployment), template(rooftop(street)[-1])):
        assert pod["metadata"]["labels"]["wattmesh.io/gateway"] == "market"


def template(deployment: Object) -> Any:
    return deployment["spec"]["template"]


def test_a_pod_is_configuration_volume_service_and_deployment(street: GatewayPlan) -> None:
    for manifests, name, owner in ((market(street), "market", GATEWAY), (rooftop(street), "rooftop-0", ROOFTOP)):
        assert [item["kind"] for item in manifests] == ["ConfigMap", "PersistentVolumeClaim", "Service", "Deployment"]
        for item in manifests:
            assert kind_of(item).api_version == item["apiVersion"]
            assert (item["metadata"]["name"], item["metadata"]["namespace"]) == (name, "default")
            assert item["metadata"]["ownerReferences"][0] == {
                "apiVersion": "wattmesh.io/v1alpha1",
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": False,
            }
            # What is a household's stays while its gateway is there, until it has settled.
            others = [(one["kind"], one.get("controller")) for one in item["metadata"]["ownerReferences"][1:]]
            assert others == ([] if owner is GATEWAY else [("BecknGateway", None)])
            assert item["metadata"]["labels"] == {
                "app.kubernetes.io/name": "wattmesh-gateway" if owner is GATEWAY else "wattmesh-agents",
                "app.kubernetes.io/instance": name,
                "app.kubernetes.io/component": "gateway" if owner is GATEWAY else "agents",
                "app.kubernetes.io/part-of": "wattmesh",
                "app.kubernetes.io/managed-by": "wattmesh-operator",
                "wattmesh.io/gateway": "market",
                "wattmesh.io/pod": name,
                f"wattmesh.io/{owner['kind'].lower()}": owner["metadata"]["name"],
            }


def test_the_restricted_pod_security_standard_holds_for_every_pod(street: GatewayPlan) -> None:
    for deployment in (market(street)[-1], rooftop(street)[-1]):
        pod = template(deployment)["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["securityContext"]["fsGroup"] == 65532
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert {"hostNetwork", "hostPID", "hostIPC"} & pod.keys() == set()
        assert all(
            set(volume) <= {"name", "configMap", "secret", "persistentVolumeClaim", "emptyDir"}
            for volume in pod["volumes"]
        )
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"].keys() == {"requests", "limits"}
            assert all("hostPort" not in port for port in container["ports"])


def test_a_deployment_runs_one_pod_and_never_two_on_one_volume(street: GatewayPlan) -> None:
    for deployment in (market(street)[-1], rooftop(street)[-1]):
        spec = deployment["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert spec["selector"] == {"matchLabels": {"wattmesh.io/pod": deployment["metadata"]["name"]}}
        assert spec["selector"]["matchLabels"].items() <= template(deployment)["metadata"]["labels"].items()


def test_the_processes_are_started_with_their_files(street: GatewayPlan) -> None:
    [agents] = template(rooftop(street)[-1])["spec"]["containers"]
    assert agents["command"] == [
        *("python", "-m", "wattmesh_agents", "--config", "/etc/wattmesh/config/config.json"),
        *("--keys", "/etc/wattmesh/keys/keys.json", "--database", "/data/ledger.db"),
        *("--url", "http://rooftop-0.default.svc:8080"),
    ]
    [gateway] = template(market(street)[-1])["spec"]["containers"]
    assert gateway["command"] == [
        *("python", "-m", "wattmesh_gateway", "--config", "/etc/wattmesh/config/config.json"),
        *("--keys", "/etc/wattmesh/keys/keys.json", "--token", "/etc/wattmesh/reader/token"),
    ]
    for container, read_besides in ((agents, {}), (gateway, {"/etc/wattmesh/reader": True})):
        assert (container["image"], container["imagePullPolicy"]) == ("runtime:1", "IfNotPresent")
        assert container["env"] == [{"name": "LOG_FORMAT", "value": "json"}]
        assert {m["mountPath"]: m.get("readOnly", False) for m in container["volumeMounts"]} == {
            "/etc/wattmesh/config": True,
            "/etc/wattmesh/keys": True,
            "/data": False,
            "/tmp": False,  # noqa: S108
            **read_besides,
        }
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
        assert container["startupProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}


def test_agents_have_the_environment_that_is_set_for_them_and_gateways_do_not(street: GatewayPlan) -> None:
    key = {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "chat", "key": "key"}}}
    settings = SETTINGS.model_copy(update={"agent_env": (EnvVar.model_validate(key),)})
    key_ids = {"rooftop-0.default": signer("rooftop-0.default").key_id}
    [agents] = template(pod_manifests(street.pods[1], ROOFTOP, MARKET, key_ids, settings)[-1])["spec"]["containers"]
    assert agents["env"] == [{"name": "LOG_FORMAT", "value": "json"}, key]
    gateway = gateway_manifests(street, GATEWAY, signer("market.default"), REGISTRAR, TOKEN, CLOCK, settings)[-1]
    assert template(gateway)["spec"]["containers"][0]["env"] == [{"name": "LOG_FORMAT", "value": "json"}]


def test_each_process_can_read_its_configuration(street: GatewayPlan) -> None:
    config = RuntimeConfig.model_validate_json(rooftop(street)[0]["data"]["config.json"], strict=True)
    assert config == pod_config(street.pods[1], MARKET)
    assert config.gateway.url == "http://market.default.svc:8080"
    assert config.clock.epoch == 1_795_381_200
    assert config.registrar_keys == {REGISTRAR.key_id: REGISTRAR.public_key}
    assert config.readers == (TOKEN.digest, TOKEN.of_pod("http://rooftop-0.default.svc:8080").digest)
    assert [household.name for household in config.households] == ["rooftop-0"]
    gateway_map = gateway_manifests(street, GATEWAY, signer("market.default"), REGISTRAR, TOKEN, CLOCK, SETTINGS)[0]
    gateway = GatewayConfig.model_validate_json(gateway_map["data"]["config.json"], strict=True)
    assert gateway == gateway_config(street, REGISTRAR, CLOCK)
    assert gateway.clock == config.clock
    assert (gateway.subscriber_id, gateway.database) == ("market.default", Path("/data/registry.db"))
    assert gateway.url == config.gateway.url


def test_the_gateway_has_its_markets_reading_token_and_pods_have_not(street: GatewayPlan) -> None:
    pod = template(market(street)[-1])["spec"]
    assert {"name": "reader", "secret": {"secretName": "market-reader", "defaultMode": 0o440}} in pod["volumes"]
    assert {"name": "reader", "mountPath": "/etc/wattmesh/reader", "readOnly": True} in pod["containers"][0][
        "volumeMounts"
    ]
    assert pod["containers"][0]["command"][-2:] == ["--token", "/etc/wattmesh/reader/token"]
    assert "reader" not in str(template(rooftop(street)[-1])["spec"])
    another = gateway_manifests(street, GATEWAY, signer("market.default"), REGISTRAR, ANOTHER, CLOCK, SETTINGS)
    assert template(another[-1]) != template(market(street)[-1])
    for item in (*market(street), *rooftop(street)):
        assert TOKEN.text not in str(item)


def test_a_change_of_configuration_or_key_rolls_the_pod_and_draining_does_not(street: GatewayPlan) -> None:
    deployment = rooftop(street)[-1]
    assert template(rooftop(street, key=3)[-1]) != template(deployment)
    faster = Market(GATEWAY, REGISTRAR, CLOCK.model_copy(update={"epoch": CLOCK.epoch + 3600}), TOKEN)
    key_ids = {"rooftop-0.default": signer("rooftop-0.default").key_id}
    moved = pod_manifests(street.pods[1], ROOFTOP, faster, key_ids, SETTINGS)
    assert template(moved[-1]) != template(deployment)
    assert template(pod_manifests(street.pods[1], ROOFTOP, replace(MARKET, token=ANOTHER), key_ids, SETTINGS)[-1]) == (
        template(deployment)
    )
    draining = rooftop(street, draining={"rooftop-0": 1_790_000_000})[-1]
    assert template(draining) == template(deployment)
    assert draining["metadata"]["annotations"]["wattmesh.io/draining"] == '{"rooftop-0": 1790000000}'
    assert draining["metadata"]["annotations"]["wattmesh.io/households"] == "rooftop-0"


def test_a_service_reaches_the_pod_even_while_it_catches_up(street: GatewayPlan) -> None:
    spec = rooftop(street)[2]["spec"]
    assert spec["selector"] == selector_labels("rooftop-0")
    assert spec["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP", "targetPort": "http"}]
    assert spec["publishNotReadyAddresses"] is True


def test_profiles_come_from_the_config_map_that_holds_them(
    resources_of: Callable[[str], Sequence[Resource]],
) -> None:
    [gateway] = plan(
        resources_of(
            """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 50}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop}
spec: {profile: {configMap: {name: rooftop-profiles}}}
"""
        )
    )
    config = pod_config(gateway.pods[1], MARKET)
    assert config.households[0].profile_csv == Path("/etc/wattmesh/profiles/rooftop-0.csv")
    pod = template(rooftop(gateway)[-1])["spec"]
    assert {"name": "profiles", "configMap": {"name": "rooftop-profiles"}} in pod["volumes"]
    mounts = pod["containers"][0]["volumeMounts"]
    assert {"name": "profiles", "mountPath": "/etc/wattmesh/profiles", "readOnly": True} in mounts


def test_prices_come_from_the_config_map_that_holds_them_for_the_utility_and_its_households(
    resources_of: Callable[[str], Sequence[Resource]],
) -> None:
    [gateway] = plan(
        resources_of(
            """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec:
  tariff: {price: 0.02, feedIn: 0, series: {configMap: {name: day-ahead}, timezone: Europe/Berlin}}
  capacityKw: 50
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop}
spec: {load: {annualKwh: 3000}}
"""
        )
    )
    tariffs = [
        pod_config(gateway.pods[0], MARKET).utilities[0].tariff,
        pod_config(gateway.pods[1], MARKET).households[0].backstop.tariff,
    ]
    for tariff in tariffs:
        assert tariff.file is not None
        assert (tariff.file.path, tariff.file.timezone) == (Path("/etc/wattmesh/prices/prices.csv"), "Europe/Berlin")
    for manifests in (of_utility(gateway), rooftop(gateway)):
        pod = template(manifests[-1])["spec"]
        assert {"name": "prices", "configMap": {"name": "day-ahead"}} in pod["volumes"]
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "prices", "mountPath": "/etc/wattmesh/prices", "readOnly": True} in mounts


def test_a_volume_keeps_the_size_and_class_that_it_has(street: GatewayPlan) -> None:
    new = rooftop(street)[1]
    assert new["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert new["spec"]["storageClassName"] == "fast"
    present = {**new, "spec": {**new["spec"], "resources": {"requests": {"storage": "9Gi"}}, "storageClassName": "old"}}
    kept = rooftop(street, present_claim=present)[1]
    assert kept["spec"] == present["spec"]
    assert kept["metadata"] == new["metadata"]
    assert "storageClassName" not in claim(Belonging(ROOFTOP, "rooftop-0", "market"), "1Gi", "")["spec"]


def test_a_secret_holds_the_key_file_and_nothing_of_it_is_elsewhere(street: GatewayPlan) -> None:
    to = Belonging(ROOFTOP, "rooftop-0", "market")
    secret = key_secret(to, b'{"a": 1}')
    assert base64.b64decode(secret["data"]["keys.json"]) == b'{"a": 1}'
    assert secret["metadata"] == key_secret(to, b'{"a": 2}')["metadata"]
    seed = base64.b64encode(bytes([1]) * 32).decode()
    assert seed not in json.dumps(rooftop(street))


def test_pods_of_an_agent_are_found_by_its_selector(street: GatewayPlan) -> None:
    key, value = selector_of(ROOFTOP).split("=")
    assert template(rooftop(street)[-1])["metadata"]["labels"][key] == value


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
