"""Which parties there shall be, by the SolarAgents and UtilityAgents that the cluster lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wattmesh_cli.books import BooksError
from wattmesh_operator.plan.naming import household_name, subscriber_id


class Declared(NamedTuple):
    """Subscriber ids of all households and utilities that there shall be, and of the utilities among them with prices
    that may be negative.
    """

    parties: frozenset[str]
    below_zero: frozenset[str]


def declared(listing: Any) -> Declared:
    """What the list declares; BooksError when it is no such list."""
    try:
        items = [(item, item["metadata"]["namespace"]) for item in listing["items"]]
        return Declared(
            frozenset(subscriber_id(name, namespace) for item, namespace in items for name in _names(item)),
            frozenset(
                subscriber_id(item["metadata"]["name"], namespace)
                for item, namespace in items
                if item["kind"] == "UtilityAgent" and _may_be_negative(item["spec"]["tariff"])
            ),
        )
    except (KeyError, TypeError):
        raise BooksError("kubectl get: this is no list of SolarAgents and UtilityAgents") from None


def _may_be_negative(tariff: Mapping[str, Any]) -> bool:
    prices = [tariff["price"], tariff["feedIn"], *(period["price"] for period in tariff.get("periods", ()))]
    return "series" in tariff or min(prices) < 0


def _names(item: Mapping[str, Any]) -> list[str]:
    name = item["metadata"]["name"]
    if item["kind"] == "UtilityAgent":
        return [name]
    if item["kind"] == "SolarAgent":
        return [household_name(name, number) for number in range(item["spec"]["replicas"])]
    raise KeyError(item["kind"])
