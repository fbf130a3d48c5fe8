"""How a market clears: pure, one small file for each mechanism.

A study's neighbours trade by a mechanism of `MECHANISMS`, picked by name. It says who is matched with whom in a slot
and at which price; what follows is a contract like any other. `sharing` is what a utility does afterwards with what is
left. Those of `MECHANISMS` are built in, in a file of their own each. A plug-in is such a function, in the group
`wattmesh.mechanisms`: see `plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattmesh_market.mechanisms import pool, uniform_price
from wattmesh_market.mechanisms.checked import Plugged
from wattmesh_market.mechanisms.orders import Match, Orders
from wattmesh_market.plugins import Catalog, Kind

Mechanism = Callable[[Orders], list[Match]]

BILATERAL = "bilateral"
MECHANISMS: Mapping[str, Mechanism | None] = {
    BILATERAL: None,  # every buyer searches, and takes what it likes of what it is offered: as traded live
    "uniform-price": uniform_price.match,
    "pool": pool.match,
}


mechanisms: Catalog[Mechanism | None] = Catalog(Kind.MECHANISM, MECHANISMS, Plugged.of)


def mechanism_named(name: str) -> Mechanism | None:
    """The mechanism of that name, None for `bilateral`; ValueError lists the names there are."""
    return mechanisms[name]
