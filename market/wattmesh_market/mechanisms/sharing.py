"""Energy sharing: what neighbours import and export in the same slot is netted among them, at a price of their own.

Each customer gets a share of what the others fed in, or gives a share of what it fed in itself; what is left is priced
as if there were no sharing. Energy is whole Wh, money whole millionths, and everything follows from the set of readings
alone. Law that has it: energy sharing (§ 42c EnWG), autoconsommation collective (art. L315-2 code de l'énergie),
comunità energetiche rinnovabili (d.lgs. 199/2021), Erneuerbare-Energie-Gemeinschaften (§ 16c ElWOG 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar, NamedTuple

from wattmesh_market.units import amount_micro, require_amounts

Lot = Callable[[str], bytes]
"""Draws a customer's lot; the smallest comes first."""


@dataclass(frozen=True)
class Sharing:
    """How a utility shares. `price_micro_per_kwh` None: the middle of what both sides would have without."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    price_micro_per_kwh: int | None = None
    key: str = "proRata"

    def __post_init__(self) -> None:
        require_amounts(price_micro_per_kwh=self.price_micro_per_kwh)
        if self.key not in KEYS:
            raise ValueError(f"no sharing key {self.key!r}; there are: {', '.join(KEYS)}")


class Prices(NamedTuple):
    """Of one slot, in millionths per kWh: the all-in tariff, the feed-in price and the local grid fee."""

    tariff: int
    feed_in: int
    local_fee: int


class Bill(NamedTuple):
    """What a customer owes for net import, or earns for net export: `total_micro`, rounded once.

    `shared_micro` of it is for what was shared, of which `fee_micro` is the local grid fee.
    """

    total_micro: int
    shared_micro: int
    fee_micro: int


def price_micro_per_kwh(sharing: Sharing, prices: Prices) -> int | None:
    """What a shared kWh costs before the local grid fee, so that neither side is worse off; None: nothing is shared."""
    most = prices.tariff - prices.local_fee
    if prices.feed_in > most:
        return None
    wanted = sharing.price_micro_per_kwh
    return (prices.feed_in + most) // 2 if wanted is None else min(max(wanted, prices.feed_in), most)


def shares_wh(net_wh: Mapping[str, int], key: str, lot: Lot) -> dict[str, int]:
    """What of each customer's net import (negative: export) is shared, in Wh ≥ 0; who shares nothing is not in it.

    The shares of those who import and of those who export sum to the same: all that the smaller side has.
    """
    imports = {name: wh for name, wh in net_wh.items() if wh > 0}
    exports = {name: -wh for name, wh in net_wh.items() if wh < 0}
    whole_wh = min(sum(imports.values()), sum(exports.values()))
    if not whole_wh:
        return {}
    shares = KEYS[key](imports, whole_wh, lot) | KEYS[key](exports, whole_wh, lot)
    return {name: wh for name, wh in shares.items() if wh}


def lot(seed: int, slot: int) -> Lot:
    """The lots of a slot: a hash of utility's seed, slot and customer, so that no name is ever the first by itself."""
    return lambda customer: blake2b(f"{seed}/{slot}/{customer}/share".encode(), digest_size=8).digest()


def bill(net_wh: int, shared_wh: int, price: int, prices: Prices) -> Bill:
    """Price a customer's net import or export of which `shared_wh` are shared at `price`."""
    imports = net_wh > 0
    alone, shared = (prices.tariff, price + prices.local_fee) if imports else (prices.feed_in, price)
    return Bill(
        # In thousandths of a millionth, so that the sum is rounded and not its parts.
        total_micro=(alone * (abs(net_wh) - shared_wh) + shared * shared_wh + 500) // 1000,
        shared_micro=amount_micro(shared, shared_wh),
        fee_micro=amount_micro(prices.local_fee, shared_wh) if imports else 0,
    )


def correction_micro(billed_wh: int, billed_micro: int, net_wh: int, prices: Prices) -> int:
    """What a customer gets back when a reading turns out to be `net_wh` instead of `billed_wh`; negative: it owes more.

    What was billed too much is repaid as it was billed, what is missing is priced unshared; a fraction is the
    customer's gain, so that the bill as a whole is never worse than unshared. `billed_micro` ≥ 0.
    """
    imported, exported = max(0, net_wh) - max(0, billed_wh), max(0, -net_wh) - max(0, -billed_wh)
    back_micro = 0
    if imported < 0:
        back_micro += -(billed_micro * imported // billed_wh)
    elif imported:
        back_micro -= prices.tariff * imported // 1000
    if exported < 0:
        back_micro -= billed_micro * exported // billed_wh
    elif exported:
        back_micro += -(-prices.feed_in * exported // 1000)
    return back_micro


def _pro_rata(own_wh: Mapping[str, int], whole_wh: int, draw: Lot) -> dict[str, int]:
    """In proportion to what each has; what is left of whole Wh goes to the largest remainders (Hare and Niemeyer)."""
    total_wh = sum(own_wh.values())
    shares = {name: whole_wh * wh // total_wh for name, wh in own_wh.items()}
    left_wh = whole_wh - sum(shares.values())
    if left_wh:
        first = sorted(own_wh, key=lambda name: (-(whole_wh * own_wh[name] % total_wh), draw(name), name))
        for name in first[:left_wh]:
            shares[name] += 1
    return shares


def _equal(own_wh: Mapping[str, int], whole_wh: int, draw: Lot) -> dict[str, int]:
    """The same for each, but not more than it has; what the small ones leave goes to the others alike."""
    shares, left_wh = {}, whole_wh
    waiting = sorted(own_wh, key=lambda name: own_wh[name])
    while waiting and own_wh[waiting[0]] * len(waiting) <= left_wh:
        name = waiting.pop(0)
        shares[name] = own_wh[name]
        left_wh -= own_wh[name]
    if waiting:
        each_wh, odd_wh = divmod(left_wh, len(waiting))
        first = sorted(waiting, key=lambda name: (draw(name), name))
        shares |= {name: each_wh + (at < odd_wh) for at, name in enumerate(first)}
    return shares


KEYS: Mapping[str, Callable[[Mapping[str, int], int, Lot], dict[str, int]]] = {"proRata": _pro_rata, "equal": _equal}
"""How the side that has more shares what there is: own Wh by customer, the whole, lots → Wh."""
