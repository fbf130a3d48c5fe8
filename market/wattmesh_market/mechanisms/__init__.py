"""How a market clears: pure, one small file for each mechanism.

A study's neighbours trade by a mechanism of `MECHANISMS`, picked by name. It says who is matched with whom in a slot
and at which price; what follows is a contract like any other. `sharing` is what a utility does afterwards with what is
left. To add a mechanism, write its function of a slot's orders in a file of its own and name it in `MECHANISMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattmesh_market.mechanisms import pool, uniform_price
from wattmesh_market.mechanisms.orders import Match, Orders

Mechanism = Callable[[Orders], list[Match]]

BILATERAL = "bilateral"
MECHANISMS: Mapping[str, Mechanism | None] = {
    BILATERAL: None,  # every buyer searches, and takes what it likes of what it is offered: as traded live
    "uniform-price": uniform_price.match,
    "pool": pool.match,
}


def mechanism_named(name: str) -> Mechanism | None:
    """The mechanism of that name, None for `bilateral`; ValueError lists the names there are."""
    if name not in MECHANISMS:
        raise ValueError(f"no mechanism {name!r}; there are: {', '.join(sorted(MECHANISMS))}")
    return MECHANISMS[name]
