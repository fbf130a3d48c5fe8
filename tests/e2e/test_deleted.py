"""Deleting a resource, and a namespace with all that is in it."""

from __future__ import annotations

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import CHILDREN, gateway, registered, solar, utility

pytestmark = pytest.mark.e2e


def test_a_solaragent_takes_what_is_its_own_and_nothing_else(street: Kube) -> None:
    def children() -> dict[str, str]:
        return {
            f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"]
            for item in street.list(CHILDREN, "app.kubernetes.io/managed-by=wattmesh-operator")
        }

    street.apply(solar("quiet", battery={"capacityKwh": 10, "initialKwh": 6}, strategy="rules"))
    street.ready("solaragent/quiet")
    before, known = children(), registered(street)
    mine = {f"{kind}/quiet-0" for kind in ("Deployment", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim")}
    assert mine <= before.keys()
    assert "quiet-0" in known

    street("delete", "solaragent", "quiet", timeout_s=60)

    until("its children are gone", lambda: not mine & children().keys())
    until("its entries are gone", lambda: "quiet-0" not in registered(street))
    assert children() == {name: uid for name, uid in before.items() if name not in mine}
    assert registered(street) == known - {"quiet-0"}


def test_a_namespace_goes_in_the_middle_of_things(cluster: Kube) -> None:
    hamlet = cluster.of("hamlet")
    hamlet.make()
    hamlet.apply(gateway(), utility(), solar("farm", load={"annualKwh": 3000}))
    hamlet.ready("beckngateway/market", "solaragent/farm")
    hamlet("scale", "solaragent/farm", "--replicas=2")
    hamlet.apply(solar("lost", gatewayRef={"name": "nowhere"}, load={"annualKwh": 3000}))

    hamlet("delete", "namespace", "hamlet", timeout_s=180)

    assert hamlet.is_gone("namespace", "hamlet")
