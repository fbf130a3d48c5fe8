"""Whether an object in the cluster is still what it shall be."""

from __future__ import annotations

from typing import Any

from kubernetes.utils.quantity import parse_quantity

from wattmesh_operator.cluster.objects import Object, merge_key

_AMOUNTS = ("requests", "limits", "sizeLimit")


def differs(desired: Object, live: Object) -> list[str]:
    """Paths of the fields that `desired` sets and `live` has not, or has otherwise; none if nothing is to be done.

    What the API server fills in and what others add is no difference. Quantities are compared as numbers, since the
    server writes 1000m as 1.
    """
    found: list[str] = []
    _compare(desired, live, "", found, amount=False)
    return found


def _compare(desired: Any, live: Any, path: str, found: list[str], *, amount: bool) -> None:
    if isinstance(desired, dict) and isinstance(live, dict):
        for key, value in desired.items():
            _compare(value, live.get(key), f"{path}.{key}" if path else key, found, amount=amount or key in _AMOUNTS)
    elif isinstance(desired, list) and isinstance(live, list):
        _compare_lists(desired, live, path, found)
    elif not (_same_amount(desired, live) if amount else _same(desired, live)):
        found.append(path)


def _compare_lists(desired: list[Any], live: list[Any], path: str, found: list[str]) -> None:
    identity = merge_key(desired)
    if identity is not None:
        there = {item.get(identity): item for item in live if isinstance(item, dict)}
        for item in desired:
            _compare(item, there.get(item[identity]), f"{path}[{item[identity]}]", found, amount=False)
    elif desired != live:
        found.append(path)


def _same(desired: Any, live: Any) -> bool:
    # The server leaves out what is empty, zero or false.
    return bool(desired == live) or (live is None and not desired)


def _same_amount(desired: Any, live: Any) -> bool:
    try:
        return bool(parse_quantity(desired) == parse_quantity(live))
    except ValueError:
        return False
