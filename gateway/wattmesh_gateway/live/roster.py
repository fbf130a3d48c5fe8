"""Whom to ask: the pods in which the registered subscribers live. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wattmesh_gateway.members import Member


def pods_of(members: Iterable[Member]) -> Mapping[str, Mapping[str, Member]]:
    """The members by id, by the url of their pod: what is left of a member's url without its last part, its name.

    So `http://house:8080/roof-0` and `http://house:8080/roof-1` are asked once, at `http://house:8080`.
    """
    pods: dict[str, dict[str, Member]] = {}
    for member in members:
        scheme, _, rest = member.url.rstrip("/").partition("://")
        place = rest.rpartition("/")[0] or rest
        pods.setdefault(f"{scheme}://{place}", {})[member.subscriber_id] = member
    return pods
