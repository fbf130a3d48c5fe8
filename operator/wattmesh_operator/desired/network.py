"""The NetworkPolicy of a market: whom its gateway and agents may talk to."""

from __future__ import annotations

from typing import Any

from wattmesh_operator.cluster.objects import NETWORK_POLICY, Object
from wattmesh_operator.desired.manifest import Belonging, manifest
from wattmesh_operator.desired.names import GATEWAY, PORT, selector_labels
from wattmesh_operator.desired.settings import Network
from wattmesh_operator.plan.naming import database_policy_name

_DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
"""To any address: a DNS cache on the node has none that a selector finds."""


def database_policy(to: Belonging, port: int) -> Object:
    """The policy that lets a gateway's pods call their database, wherever that is."""
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": selector_labels(to.pod)},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": port, "protocol": "TCP"}]}],
    }
    return manifest(NETWORK_POLICY, to, {"spec": spec}, name=database_policy_name(to.pod))


def network_policy(to: Belonging, network: Network) -> Object:
    """The policy of a gateway and of all that trade through it; it is named after the gateway.

    They reach DNS and each other, and are reached by each other, the operator and those who read metrics. Peers are all
    markets of the namespace: households that move to another gateway settle with those of their former one.
    """
    market = {"podSelector": {"matchExpressions": [{"key": GATEWAY, "operator": "Exists"}]}}
    operator = {
        "podSelector": {"matchLabels": dict(network.operator_labels)},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.operator_namespace}},
    }
    ports = [{"port": PORT, "protocol": "TCP"}]
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {GATEWAY: to.gateway}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": ports, "from": [market, operator, *network.metrics_from]}],
        "egress": [_DNS, {"ports": ports, "to": [market]}, *network.agent_egress],
    }
    return manifest(NETWORK_POLICY, to, {"spec": spec})
