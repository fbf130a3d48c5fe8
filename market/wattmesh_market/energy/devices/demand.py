"""What a device needs in a window: what is configured, or what a plug-in says, such as a car's trips or heat by season.

Such a plug-in is a function of a `DeviceWindow`, in the group `wattmesh.devices`: see `plugins`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from wattmesh_market.energy.devices.flexible import FlexibleLoad
from wattmesh_market.energy.devices.window import Span
from wattmesh_market.energy.slots import local
from wattmesh_market.plugins import Catalog, Kind, Plugin
from wattmesh_market.plugins.watch import whole

_REMEMBERED = 1_000


class DeviceWindow(NamedTuple):
    """A device in one of its windows, from slot `begin` to slot `end` (not included), in unix seconds of grid time.

    `needs_wh` is what is configured, and `most_wh` what its power can give it by the end. `seed` is its household's.
    """

    household: str
    device: str
    seed: int
    begin: int
    end: int
    utc_offset_s: int
    needs_wh: int
    most_wh: int

    @property
    def time(self) -> datetime:
        """When it begins, in local time."""
        return local(self.begin, self.utc_offset_s)


DeviceFunction = Callable[[DeviceWindow], int]
"""How much energy (Wh, from 0 to `most_wh`) a device needs in a window: the same whenever it is asked."""


def _of_plugin(plugin: Plugin) -> Plugin:
    if not callable(plugin.target):
        raise ValueError(f"must be a function from DeviceWindow to Wh, not {type(plugin.target).__name__}")
    return plugin


devices: Catalog[Plugin] = Catalog(Kind.DEVICE, {}, _of_plugin)


class Demand:
    """What the devices of one household need. `ask` is how a plug-in is asked about a slot: see `Watch.ask`.

    Where it has no answer that counts, a device needs what is configured.
    """

    def __init__(
        self,
        household: str,
        seed: int,
        utc_offset_s: int,
        ask: Callable[[Plugin, int, Callable[[], int]], int | None],
    ) -> None:
        self._household = household
        self._seed = seed
        self._utc_offset_s = utc_offset_s
        self._ask = ask
        self._known: dict[tuple[str, Span], int] = {}

    def of(self, load: FlexibleLoad, span: Span) -> int:
        """What a device needs in a window that begins anew, in Wh."""
        if load.plugin is None:
            return load.energy_wh
        known = self._known.get((load.name, span))
        if known is None:
            known = self._known[load.name, span] = self._asked(devices[load.plugin], load, span)
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return known

    def _asked(self, plugin: Plugin, load: FlexibleLoad, span: Span) -> int:
        window = DeviceWindow(
            self._household, load.name, self._seed, *span, self._utc_offset_s, load.energy_wh, load.most_wh
        )
        answer = self._ask(
            plugin, span.begin, lambda: whole(plugin.target(window), "what a device needs", 0, load.most_wh)
        )
        return load.energy_wh if answer is None else answer
