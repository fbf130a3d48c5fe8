"""Checks of what devices took: a part of the load, within their windows, and by the end of each all that they need; and
of what cars gave the house.
"""

from __future__ import annotations

from collections.abc import Iterator

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.books import SLOT_S, BooksError, Device, Reading

_KIND = "reading-devices"


def held_by_cars(reading: Reading) -> tuple[int, int]:
    """What cars were charged with for the house (less what they gave), and how much more they hold (Wh)."""
    try:
        devices = reading.by_device
    except BooksError:  # which is a finding of its own
        devices = ()
    return (
        sum(device.charged_wh - device.discharged_wh for device in devices),
        sum(device.level_after_wh - device.level_before_wh for device in devices),
    )


class DeviceCheck:
    """The devices of one household, reading by reading, the oldest first."""

    def __init__(self) -> None:
        self._last: dict[str, Device] = {}
        self._slot: int | None = None

    def of(self, reading: Reading) -> Iterator[Finding]:
        """What is wrong with what devices took in a slot."""
        try:
            devices = reading.by_device
        except BooksError as error:
            yield _of(reading, str(error))
            devices = ()
        taken_wh = sum(device.taken_wh for device in devices)
        if taken_wh > reading.load_wh:
            yield _of(reading, f"devices took {taken_wh} Wh, but the load is {reading.load_wh} Wh")
        names = [device.name for device in devices]
        if len(set(names)) < len(names):
            yield _of(reading, f"two devices have one name: {', '.join(names)}")
        follows = self._slot == reading.slot - SLOT_S
        for device in devices:
            yield from _of_device(reading, device, self._last.get(device.name) if follows else None, first=not follows)
        self._last, self._slot = {device.name: device for device in devices}, reading.slot


def _of_device(reading: Reading, device: Device, last: Device | None, *, first: bool) -> Iterator[Finding]:
    """A window's first reading is of its first slot; each later one goes on where the one before ended.

    Nothing is known of what was before the `first` reading that there is. That a device is gone before its window is
    over, as it is no longer declared, is no mistake.
    """
    name, slot = device.name, reading.slot
    yield from _of_store(reading, device, last)
    if not device.begin <= slot < device.end:
        yield _of(reading, f"{name} took {device.taken_wh} Wh outside of its window")
    if not 0 <= device.taken_wh <= device.needs_wh or device.left_wh < 0:
        yield _of(
            reading, f"{name} took {device.taken_wh} Wh; it needs {device.needs_wh} Wh, {device.left_wh} Wh later"
        )
    if device.end == slot + SLOT_S and device.left_wh:
        yield _of(reading, f"{name} lacks {device.left_wh} Wh of {device.needs_wh} Wh at the end of its window")
    if last is not None and last.end > slot:
        if (device.begin, device.end) != (last.begin, last.end):
            yield _of(reading, f"{name} has another window before the last one is over")
        needs_wh, left_wh = last.needs_wh, last.left_wh
    elif device.begin == slot or not first:
        if device.begin != slot:
            yield _of(reading, f"{name} has a window that began before, of which there is no reading")
        needs_wh, left_wh = device.needs_wh, device.needs_wh
    else:
        return
    less_wh = needs_wh - device.needs_wh  # what a charger that was made smaller cannot give
    if less_wh < 0 or left_wh - less_wh - device.taken_wh != device.left_wh:
        text = f"of {left_wh} Wh that {name} needed {device.taken_wh} Wh were taken, but {device.left_wh} Wh are left"
        yield _of(reading, text)


def _of_store(reading: Reading, device: Device, last: Device | None) -> Iterator[Finding]:
    """A car's store takes or gives, never both, and never more than there is; what is lost is at least nothing."""
    name, charged_wh, discharged_wh = device.name, device.charged_wh, device.discharged_wh
    change_wh = device.level_after_wh - device.level_before_wh
    if min(charged_wh, discharged_wh, device.level_before_wh, device.level_after_wh) < 0 or (
        discharged_wh and (charged_wh or device.taken_wh)
    ):
        yield _of(reading, f"{name} took {device.taken_wh} and {charged_wh} Wh, and gave {discharged_wh} Wh")
    if change_wh > charged_wh - discharged_wh:
        text = f"what {name} holds changes by {change_wh:+d} Wh, but it was given {charged_wh - discharged_wh:+d} Wh"
        yield _of(reading, text)
    if discharged_wh > reading.load_wh:
        yield _of(reading, f"{name} gave {discharged_wh} Wh, but the load is {reading.load_wh} Wh")
    if device.level_before_wh > reading.level_before_wh or device.level_after_wh > reading.level_after_wh:
        yield _of(reading, f"{name} holds more than all that is stored")
    if last is not None and last.end > reading.slot and last.level_after_wh != device.level_before_wh:
        text = f"{name} holds {device.level_before_wh} Wh, but {last.level_after_wh} Wh after the slot before"
        yield _of(reading, text)


def _of(reading: Reading, text: str) -> Finding:
    return Finding(_KIND, reading.party, reading.slot, None, text)
