"""What helm makes of the chart: `make chart-test`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml

from charts.generate import CHART
from tests.chart.support import (
    CLUSTER_WIDE,
    COMBINATIONS,
    FULL,
    NAMESPACE,
    NAMESPACED,
    RELEASE,
    Object,
    Refused,
    against_restricted,
    helm,
    of_kind,
    pods,
    render,
    selects,
    values,
)
from wattmesh_operator.settings import Settings, read_settings

pytestmark = pytest.mark.helm

AGENT = {"app.kubernetes.io/part-of": "wattmesh", "app.kubernetes.io/component": "household"}

every_combination = pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS.keys())


@every_combination
def test_helm_lint_has_nothing_to_say(settings: list[str]) -> None:
    helm("lint", "--strict", str(CHART), "--kube-version", "1.34.0", *values(settings))


@every_combination
def test_every_pod_meets_the_restricted_pod_security_standard(settings: list[str]) -> None:
    found = {name: against_restricted(spec) for name, _, spec in pods(render(settings))}
    assert len(found) == 2
    assert found == {name: [] for name in found}


@every_combination
def test_every_container_has_a_read_only_root_requests_and_limits(settings: list[str]) -> None:
    for _, _, spec in pods(render(settings)):
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert all(container["resources"][part].keys() == {"cpu", "memory"} for part in ("requests", "limits"))


@every_combination
def test_rights_name_groups_resources_and_verbs(settings: list[str]) -> None:
    verbs = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
    for role in of_kind(render(settings), "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            assert set(rule["verbs"]) <= verbs
            groups = {"", "apps", "coordination.k8s.io", "networking.k8s.io", "policy", "wattmesh.io"}
            assert set(rule["apiGroups"]) <= groups
            assert not any("*" in name for name in rule["resources"])


@every_combination
def test_the_operator_cannot_write_what_people_declare_nor_delete_keys_and_ledgers(settings: list[str]) -> None:
    rights = _operator_rights(render(settings))
    for resource in ("solaragents", "utilityagents", "beckngateways"):
        assert rights.get(resource, set()) <= {"get", "list", "watch"}
    for resource in ("secrets", "persistentvolumeclaims"):
        assert rights.get(resource, set()) <= {"get", "list", "watch", "create", "patch"}


def test_everything_that_is_namespaced_says_its_namespace() -> None:
    for item in render(FULL):
        cluster_scoped = item["kind"].startswith(("Cluster", "ValidatingAdmission"))
        assert item["metadata"].get("namespace") == (None if cluster_scoped else NAMESPACE)


@pytest.mark.parametrize(
    ("settings", "namespaces"), [([], {NAMESPACE}), (NAMESPACED, {"street", "village"}), (CLUSTER_WIDE, set())]
)
def test_the_operator_has_rights_in_what_it_watches_and_in_the_cluster_by_choice_only(
    settings: list[str], namespaces: set[str]
) -> None:
    objects = render(FULL + settings)
    for kind in ("Role", "RoleBinding"):
        assert {item["metadata"]["namespace"] for item in of_kind(objects, kind)} == namespaces
    assert len(of_kind(objects, "ClusterRoleBinding")) == (not namespaces)
    assert _operator_rights(objects) == _operator_rights(render())


def test_nothing_is_cluster_scoped_where_the_installer_has_no_such_rights() -> None:
    objects = render([*FULL, *NAMESPACED, "rbac.clusterScoped=false"])
    assert all("namespace" in item["metadata"] for item in objects)


def test_guards_and_warnings_are_of_the_namespaces_that_are_watched() -> None:
    for settings, names in ((NAMESPACED, ["street", "village"]), ([], [NAMESPACE]), (CLUSTER_WIDE, None)):
        bindings = of_kind(render(settings), "ValidatingAdmissionPolicyBinding")
        assert [binding["spec"]["validationActions"] for binding in bindings] == [["Warn"], ["Deny"], ["Deny"]]
        for binding in bindings:
            selector = binding["spec"]["matchResources"]["namespaceSelector"]
            assert selector == (
                {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}]}
                if names
                else {}
            )


def test_the_guards_speak_of_the_account_that_the_pod_uses() -> None:
    for settings, account in (([], f"{RELEASE}-wattmesh-operator"), (["serviceAccount.name=robot"], "robot")):
        policies = of_kind(render(settings), "ValidatingAdmissionPolicy")
        conditions = [one["spec"].get("matchConditions", []) for one in policies]
        user = f'"system:serviceaccount:{NAMESPACE}:{account}"'
        assert [user in condition[0]["expression"] for condition in conditions if condition] == [True, True]


def test_bindings_give_each_role_to_the_account_that_the_pod_uses() -> None:
    for settings in ([], NAMESPACED, CLUSTER_WIDE):
        objects = render(settings)
        account = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["serviceAccountName"]
        assert [item["metadata"]["name"] for item in of_kind(objects, "ServiceAccount")] == [account]
        for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
            role = {"kind": binding["roleRef"]["kind"], "name": binding["roleRef"]["name"]}
            place = binding["metadata"].get("namespace")
            assert role | {"namespace": place} in [
                {"kind": r["kind"], "name": r["metadata"]["name"], "namespace": r["metadata"].get("namespace")}
                for r in of_kind(objects, "Role", "ClusterRole")
            ]


def test_the_operator_understands_the_settings_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _operator_settings(monkeypatch, []).namespaces == (NAMESPACE,)
    settings = _operator_settings(monkeypatch, CLUSTER_WIDE)
    assert settings.namespaces == ()
    assert settings.all_namespaces
    assert settings.port == 8080
    assert settings.image == f"wattmesh/runtime:{_app_version()}"
    assert settings.agent_resources["requests"].keys() == {"cpu", "memory"}
    given = ["agents.storage=2Gi", "agents.storageClass=fast", "runtimeImage.pullPolicy=Never", "agents.logFormat=json"]
    settings = _operator_settings(monkeypatch, NAMESPACED + given)
    assert settings.namespaces == ("street", "village")
    assert settings.agent_storage == "2Gi"
    assert settings.storage_class == "fast"
    assert settings.pull_policy == "Never"
    assert settings.pod_log_format == "json"
    assert settings.key_overlap == timedelta(minutes=15)
    assert _operator_settings(monkeypatch, ["agents.keyOverlap=2h"]).key_overlap == timedelta(hours=2)
    reference = "agents.env[1].valueFrom.secretKeyRef"
    env = ["agents.env[0].name=A", "agents.env[0].value=a:b", "agents.env[1].name=B"]
    env += [f"{reference}.name=chat", f"{reference}.key=key"]
    found = _operator_settings(monkeypatch, env).agent_env
    assert [variable.entry() for variable in found] == [
        {"name": "A", "value": "a:b"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "chat", "key": "key"}}},
    ]


def test_a_digest_pins_the_image() -> None:
    digest = f"sha256:{'0' * 64}"
    objects = render([f"image.digest={digest}", "image.repository=registry.example/wattmesh/operator", "image.tag=v2"])
    images = {container["image"] for _, _, spec in pods(objects) for container in spec["containers"]}
    assert images == {f"registry.example/wattmesh/operator:v2@{digest}"}


def test_service_monitor_budget_and_policy_find_the_operator_and_only_it() -> None:
    objects = render(FULL)
    found = {name: labels for name, labels, _ in pods(objects)}
    operator = found[f"Deployment/{RELEASE}-wattmesh-operator"]
    test = found[f"Pod/{RELEASE}-wattmesh-operator-test"]
    service = of_kind(objects, "Service")[0]
    selectors = [
        {"matchLabels": service["spec"]["selector"]},
        of_kind(objects, "PodDisruptionBudget")[0]["spec"]["selector"],
        of_kind(objects, "NetworkPolicy")[0]["spec"]["podSelector"],
    ]
    for selector in selectors:
        assert [selects(selector, labels) for labels in (operator, test, AGENT)] == [True, False, False]
    assert selects(of_kind(objects, "ServiceMonitor")[0]["spec"]["selector"], service["metadata"]["labels"])


def test_the_operator_is_told_what_network_policies_of_markets_say(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"]
    given += ["networkPolicy.agentEgress[0].ports[0].port=443"]
    network = _operator_settings(monkeypatch, given).network
    assert network
    operator = next(labels for name, labels, _ in pods(render(given)) if name.startswith("Deployment/"))
    assert network.operator_namespace == NAMESPACE
    assert selects({"matchLabels": network.operator_labels}, operator)
    assert network.metrics_from == ({"namespaceSelector": {"matchLabels": {"name": "monitoring"}}},)
    assert network.agent_egress == ({"ports": [{"port": 443, "protocol": "TCP"}]},)
    assert _operator_settings(monkeypatch, ["networkPolicy.enabled=false"]).network is None


def test_monitors_see_what_is_watched() -> None:
    for settings, selected in (
        (NAMESPACED, {"matchNames": ["street", "village"]}),
        ([], {"matchNames": [NAMESPACE]}),
        (CLUSTER_WIDE, {"any": True}),
    ):
        assert of_kind(render(FULL + settings), "PodMonitor")[0]["spec"]["namespaceSelector"] == selected


def test_the_dashboard_reaches_grafana_as_json() -> None:
    (config,) = of_kind(render(FULL), "ConfigMap")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["wattmesh.json"])["title"] == "wattmesh"


def test_helm_shows_the_definitions_so_that_kubectl_can_apply_them_all() -> None:
    shown = [item for item in yaml.safe_load_all(helm("show", "crds", str(CHART))) if item]
    assert {item["spec"]["names"]["kind"] for item in shown} == {"BecknGateway", "SolarAgent", "UtilityAgent"}


def test_rendering_twice_gives_the_same() -> None:
    assert render(FULL) == render(FULL)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("watch.namespace=street", "namespace"),
        ("watch.namespaces={Street}", "watch"),
        ("watch.namespaces={street,street}", "equal"),
        ("watch.namespaces={street},watch.allNamespaces=true", "set one of them"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.digest=abc", "digest"),
        ("image.repository=", "repository"),
        ("operator.logFormat=xml", "logFormat"),
        ("operator.replicas=0", "replicas"),
        ("agents.storage=much", "storage"),
        ("agents.keyOverlap=long", "keyOverlap"),
        ("agents.env[0].name=A", "env"),
        ("agents.env[0].name=A B,agents.env[0].value=x", "name"),
        ("agents.env[0].name=A,agents.env[0].valueFrom.fieldRef.fieldPath=x", "fieldRef"),
        ("podDisruptionBudget.maxUnavailable=2", "maxUnavailable"),
        ("networkPolicy.apiServerPorts={0}", "apiServerPorts"),
        ("networkPolicy.apiServerCidrs={everywhere}", "apiServerCidrs"),
        ("monitoring.interval=often", "interval"),
        ("monitoring.serviceMonitor=perhaps", "serviceMonitor"),
        ("serviceAccount.create=false", "serviceAccount.name"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(setting: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        render([setting])


def _operator_settings(monkeypatch: pytest.MonkeyPatch, values: list[str]) -> Settings:
    (deployment,) = of_kind(render(values), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    with monkeypatch.context() as environment:
        for variable in container["env"]:
            environment.setenv(variable["name"], variable["value"])
        return read_settings()


def _operator_rights(objects: list[Object]) -> dict[str, set[str]]:
    """Verbs by resource, of the roles that are bound."""
    bound = {binding["roleRef"]["name"] for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding")}
    rights: dict[str, set[str]] = {}
    for role in of_kind(objects, "Role", "ClusterRole"):
        if role["metadata"]["name"] in bound:
            for rule in role["rules"]:
                for resource in rule["resources"]:
                    rights.setdefault(resource, set()).update(rule["verbs"])
    return rights


def _app_version() -> Any:
    chart = helm("show", "chart", str(CHART))
    return next(line.split(":")[1].strip(' "') for line in chart.splitlines() if line.startswith("appVersion:"))
