"""Passes over a namespace: what they make, mend, register and tell."""

from __future__ import annotations

import json
from typing import Any

from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import EVENT
from wattmesh_operator.cluster.port import ClusterError, NamespaceTerminating
from wattmesh_operator.desired.files import token_of
from wattmesh_operator.desired.settings import Network, PodSettings

BATTERY = """
kind: SolarAgent
metadata: {name: battery}
spec: {battery: {capacityKwh: 10, initialKwh: 4}, load: {annualKwh: 2000}}
"""


AGENTS = ("rooftop-0", "rooftop-1", "utility")
SECRETS = ["market", "market-reader", "market-registrar", *AGENTS]


def test_a_street_comes_up() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        pods = ["market", "rooftop-0", "rooftop-1", "utility"]
        assert world.names("Deployment") == pods
        assert world.names("Service") == pods
        assert world.names("ConfigMap") == pods
        assert world.names("PersistentVolumeClaim") == pods
        assert world.names("Secret") == SECRETS
        assert world.registered() == {"utility.street", "rooftop-0.street", "rooftop-1.street"}
        assert {e.url for e in world.entries()} >= {"http://rooftop-1.street.svc:8080/rooftop-1"}
        for kind, name in (("BecknGateway", "market"), ("UtilityAgent", "utility"), ("SolarAgent", "rooftop")):
            assert world.condition(kind, name) == ("True", "Ready")
            assert world.condition(kind, name, "Registered") == ("True", "Registered")
            assert world.condition(kind, name, "Progressing") == ("False", "UpToDate")
        status = world.read("SolarAgent", "rooftop")["status"]
        assert {key: status[key] for key in ("ready", "soc", "soldKwh", "boughtKwh", "balance", "selector")} == {
            "ready": "2/2",
            "soc": "50%",
            "soldKwh": "2.47",
            "boughtKwh": "0.50",
            "balance": "-2.41 EUR",
            "selector": "wattmesh.io/solaragent=rooftop",
        }
        assert world.read("BecknGateway", "market")["status"]["subscribers"] == 3

    run(main())


def test_before_the_pods_are_up_nothing_is_ready() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodNotReady")
        assert world.condition("SolarAgent", "rooftop", "Registered") == ("False", "NotRegistered")
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("True", "RollingOut")
        assert world.read("SolarAgent", "rooftop")["status"]["ready"] == "0/2"

    run(main())


def test_idle_means_no_writes() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.writes()
        for _ in range(5):
            done = await world.reconcile()
            assert (done.again_in_s, done.faults) == (None, ())
        assert world.writes() == []

    run(main())


def test_a_new_agent_costs_at_most_seven_writes_beside_its_status_and_restarts_nobody() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.writes()
        world.apply(BATTERY)
        await world.settle()
        writes = [write for write in world.writes() if write[0] != "status"]
        assert len(writes) == 7, writes
        assert [kind for _, kind, name in writes if name == "utility"] == ["ConfigMap"], "what is installed"
        assert {kind for _, kind, _ in writes} == {
            *("Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment"),
            EVENT.kind,
        }
        assert ("battery", "Registered") in world.events()

    run(main())


def test_what_is_edited_or_deleted_by_hand_is_put_right() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        deployment = world.read("Deployment", "rooftop-0")
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
        world.cluster.put(deployment)
        world.delete("Service", "rooftop-1")
        world.writes()
        await world.reconcile()
        assert ("apply", "Deployment", "rooftop-0") in world.writes()
        container = world.read("Deployment", "rooftop-0")["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "runtime:1"
        assert "rooftop-1" in world.names("Service")
        assert world.events().count(("rooftop", "DriftRepaired")) == 2

    run(main())


def test_a_new_reading_token_reaches_pods_without_a_restart_and_the_gateway_with_one() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()

        def told() -> tuple[list[Any], dict[str, Any]]:
            configs = [json.loads(world.read("ConfigMap", name)["data"]["config.json"]) for name in AGENTS]
            templates = {name: world.read("Deployment", name)["spec"]["template"] for name in (*AGENTS, "market")}
            return [config["readers"] for config in configs], templates

        token = token_of(world.read("Secret", "market-reader"))
        readers, templates = told()
        assert readers == [list(token.pod_digests(f"http://{name}.street.svc:8080")) for name in AGENTS]
        world.delete("Secret", "market-reader")
        await world.settle()
        new = token_of(world.read("Secret", "market-reader"))
        assert new != token
        others, afterwards = told()
        assert others == [list(new.pod_digests(f"http://{name}.street.svc:8080")) for name in AGENTS]
        assert [name for name, template in templates.items() if afterwards[name] != template] == ["market"]

        # What is no token is not written over.
        world.cluster.put({**world.read("Secret", "market-reader"), "data": {"token": "eA=="}})
        await world.reconcile()
        assert world.read("Secret", "market-reader")["data"] == {"token": "eA=="}
        conditions = world.read("BecknGateway", "market")["status"]["conditions"]
        [why] = [condition["message"] for condition in conditions if condition["type"] == "Ready"]
        assert "Secret market-reader: this is no reading token" in why

    run(main())


def test_a_market_has_a_network_policy_until_the_operator_is_told_to_make_none() -> None:
    async def main() -> None:
        network = {"operatorNamespace": "system", "operatorLabels": {"app": "operator"}}
        world = World(settings=PodSettings(image="runtime:1", network=Network.model_validate(network)))
        world.apply(STREET)
        await world.settle()
        assert world.names("NetworkPolicy") == ["market"]
        policy = world.read("NetworkPolicy", "market")
        world.writes()
        await world.reconcile()
        assert not world.writes()

        # Somebody lets everybody in.
        world.cluster.put({**policy, "spec": {**policy["spec"], "ingress": [{}]}})
        await world.reconcile()
        assert world.read("NetworkPolicy", "market")["spec"] == policy["spec"]
        assert ("market", "DriftRepaired") in world.events()

        world.reconciler = world.new_operator(PodSettings(image="runtime:1"))
        await world.reconcile()
        assert world.names("NetworkPolicy") == []

    run(main())


def test_a_child_that_lost_its_label_is_taken_back() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        service = world.read("Service", "utility")
        service["metadata"]["labels"] = {}
        world.cluster.put(service)
        await world.reconcile()
        labels = world.read("Service", "utility")["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "wattmesh-operator"

    run(main())


def test_a_spec_edit_rolls_the_pod_and_keeps_key_and_volume() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        before = world.read("Deployment", "rooftop-0")["spec"]["template"]["metadata"]["annotations"]
        key, volume = world.keys("rooftop-0"), world.read("PersistentVolumeClaim", "rooftop-0")
        item = world.read("SolarAgent", "rooftop")
        item["spec"]["trading"] = {"sellPrice": 0.11}
        world.cluster.put(item)
        await world.reconcile()
        after = world.read("Deployment", "rooftop-0")["spec"]["template"]["metadata"]["annotations"]
        assert before != after
        assert '"sell_price_micro_per_kwh": 110000' in world.read("ConfigMap", "rooftop-0")["data"]["config.json"]
        assert world.keys("rooftop-0")["rooftop-0.street"].key_id == key["rooftop-0.street"].key_id
        assert world.read("PersistentVolumeClaim", "rooftop-0") == volume
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("True", "RollingOut")
        assert world.registered() >= {"rooftop-0.street"}

    run(main())


def test_a_registry_that_was_lost_is_whole_again_after_one_pass() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.registries.pop("market").close()
        await world.start_pods()
        assert world.registered() == set()
        await world.reconcile()
        assert world.registered() == {"utility.street", "rooftop-0.street", "rooftop-1.street"}

    run(main())


def test_while_the_gateway_is_down_it_is_said_and_tried_again() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        deployment = world.read("Deployment", "market")
        deployment["status"] = {"observedGeneration": 1}
        world.cluster.put(deployment)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop", "Registered") == ("False", "NotRegistered")
        message = world.read("SolarAgent", "rooftop")["status"]["conditions"][1]["message"]
        assert message == "rooftop-0, rooftop-1: the gateway is not up yet"
        await world.start_pods()
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop", "Registered") == ("True", "Registered")

    run(main())


def test_a_missing_gateway_is_told_and_heals_when_it_appears() -> None:
    async def main() -> None:
        world = World()
        world.apply(BATTERY)
        await world.reconcile()
        for condition in ("Ready", "Registered", "Progressing"):
            assert world.condition("SolarAgent", "battery", condition) == ("False", "GatewayNotFound")
        assert world.names("Deployment") == []
        assert world.events() == [("battery", "GatewayNotFound")]
        await world.reconcile()
        assert world.events() == [("battery", "GatewayNotFound")]
        world.apply(STREET)
        await world.settle()
        assert world.condition("SolarAgent", "battery") == ("True", "Ready")

    run(main())


def test_who_loses_the_gateway_goes_on_as_it_was() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        before = world.read("SolarAgent", "rooftop")["status"]
        item = world.read("SolarAgent", "rooftop")
        item["spec"]["gatewayRef"] = {"name": "other"}
        world.cluster.put(item)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "GatewayNotFound")
        assert "rooftop-0" in world.names("Deployment")
        assert "rooftop-0.street" in world.registered()
        assert world.read("SolarAgent", "rooftop")["status"]["soc"] == before["soc"]

    run(main())


def test_a_deleted_agent_takes_its_children_and_entries_and_nothing_else() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET + "---" + BATTERY)
        await world.settle()
        assert world.read("BecknGateway", "market")["status"]["subscribers"] == 4
        world.delete("SolarAgent", "battery")
        await world.reconcile()
        await world.reconcile()
        assert world.read("BecknGateway", "market")["status"]["subscribers"] == 3
        assert world.names("Deployment") == ["market", "rooftop-0", "rooftop-1", "utility"]
        assert world.names("Secret") == SECRETS
        assert world.registered() == {"utility.street", "rooftop-0.street", "rooftop-1.street"}

    run(main())


def test_a_deleted_and_declared_again_agent_waits_for_the_old_children_to_go() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        old = world.read("Deployment", "utility")
        world.delete("UtilityAgent", "utility")
        world.apply(STREET)
        world.cluster.put(old)  # the garbage collector has not come yet
        done = await world.reconcile()
        assert done.again_in_s == 1.0
        world.delete("Deployment", "utility")
        await world.settle()
        assert world.condition("UtilityAgent", "utility") == ("True", "Ready")

    run(main())


def test_two_gateways_each_have_their_own_agents() -> None:
    async def main() -> None:
        world = World()
        for name in ("north", "south"):
            world.apply(
                f"kind: BecknGateway\nmetadata: {{name: {name}}}\nspec: {{}}\n---\n"
                f"kind: UtilityAgent\nmetadata: {{name: grid-{name}}}\n"
                f"spec: {{gatewayRef: {{name: {name}}}, tariff: {{price: 1, feedIn: 0}}, capacityKw: 9}}"
            )
        await world.settle()
        assert world.registered("north") == {"grid-north.street"}
        assert world.registered("south") == {"grid-south.street"}
        item = world.read("UtilityAgent", "grid-south")
        item["spec"]["gatewayRef"]["name"] = "north"
        world.cluster.put(item)
        await world.settle()
        await world.reconcile()
        assert world.registered("north") == {"grid-north.street", "grid-south.street"}
        assert world.registered("south") == set()

    run(main())


def test_the_failure_of_one_does_not_stop_the_others() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.cluster.refuse = lambda verb, kind, name: (
            ClusterError(500, "the API server is out of order")
            if (verb, kind, name) == ("apply", "Service", "rooftop-0")
            else None
        )
        await world.reconcile()
        await world.start_pods()
        done = await world.reconcile()
        assert done.faults == ("the API server is out of order",)
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodFailed")
        assert world.condition("UtilityAgent", "utility") == ("True", "Ready")
        assert world.registered() == {"utility.street", "rooftop-1.street"}
        assert ("rooftop", "PodFailed") in world.events()
        world.cluster.refuse = lambda *_: None
        await world.settle()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_what_somebody_else_has_made_is_never_taken() -> None:
    async def main() -> None:
        world = World()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "utility", "namespace": "street"}}
        world.cluster.put({**secret, "data": {"password": "eA=="}})
        world.apply(STREET)
        await world.settle()
        assert world.read("Secret", "utility")["data"] == {"password": "eA=="}
        assert world.condition("UtilityAgent", "utility") == ("False", "PodFailed")
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_key_that_was_deleted_is_made_anew_and_the_old_one_ends_when_the_pod_has_rolled() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        old = world.keys("rooftop-0")["rooftop-0.street"].key_id
        world.delete("Secret", "rooftop-0")
        await world.reconcile()
        new = world.keys("rooftop-0")["rooftop-0.street"].key_id
        assert new != old
        assert {e.key_id for e in world.entries() if e.subscriber_id == "rooftop-0.street"} == {old, new}
        await world.settle()
        assert {e.key_id for e in world.entries() if e.subscriber_id == "rooftop-0.street"} == {new}
        assert ("rooftop", "KeyCreated") in world.events()

    run(main())


def test_in_a_namespace_that_is_being_deleted_nothing_is_done_or_complained_of() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.cluster.refuse = lambda verb, *_: NamespaceTerminating(403, "no") if verb in ("create", "apply") else None
        done = await world.reconcile()
        assert (done.faults, done.again_in_s) == ((), None)

    run(main())


def test_an_invalid_resource_says_what_is_wrong_and_keeps_what_runs() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        item = world.read("SolarAgent", "rooftop")
        item["spec"]["battery"]["initialKwh"] = 11
        world.cluster.put(item)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "InvalidSpec")
        message = world.read("SolarAgent", "rooftop")["status"]["conditions"][0]["message"]
        assert message == "spec.battery.initialKwh: must be at most capacityKwh (10), not 11"
        assert "rooftop-1.street" in world.registered()
        assert "rooftop-1" in world.names("Deployment")

    run(main())


def test_a_pod_that_falls_silent_keeps_its_last_numbers() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.pods.pop("rooftop-1")
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        await world.clock.sleep(31)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodUnreachable")
        status = world.read("SolarAgent", "rooftop")["status"]
        assert (status["ready"], status["soldKwh"]) == ("1/2", "2.47")

    run(main())


def test_a_gateway_that_comes_up_is_no_fault_and_one_that_does_not_answer_is() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        assert (await world.reconcile()).faults == ()
        await world.start_pods("utility", "rooftop-0", "rooftop-1")
        world.cluster.roll_out("market")
        done = await world.reconcile()
        assert len(done.faults) == 3
        assert done.again_in_s == 2.0

    run(main())
