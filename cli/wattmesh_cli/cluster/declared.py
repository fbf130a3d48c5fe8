"""Which parties there shall be, by the SolarAgents and UtilityAgents that the cluster lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattmesh_cli.books import BooksError
from wattmesh_operator.plan.naming import household_name, subscriber_id


def declared_parties(listing: Any) -> frozenset[str]:
    """Subscriber ids of all households and utilities that the list declares; BooksError when it is no such list."""
    try:
        return frozenset(
            subscriber_id(name, item["metadata"]["namespace"]) for item in listing["items"] for name in _names(item)
        )
    except (KeyError, TypeError):
        raise BooksError("kubectl get: this is no list of SolarAgents and UtilityAgents") from None


def utilities_below_zero(listing: Any) -> frozenset[str]:
    """Subscriber ids of all utilities in the list with prices that may be negative; BooksError as above."""
    try:
        return frozenset(
            subscriber_id(item["metadata"]["name"], item["metadata"]["namespace"])
            for item in listing["items"]
            if item["kind"] == "UtilityAgent" and _may_be_negative(item["spec"]["tariff"])
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
