"""How the good message of a stage is spoilt, and the exact answer to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.street.puppet import Puppet
from tests.street.stages import fulfillment
from tests.world.calls import Json
from tests.world.street import SLOT_S
from wattmesh_common.clock import rfc3339

Answer = tuple[int, str, str, str | None]
Value = Any
"""What a field becomes, or a function of the puppet and what stands there that says it."""
Headers = Callable[[Puppet, bytes], Mapping[str, str]]


@dataclass(frozen=True)
class Case:
    """`change` is dotted path → value. `answer` is status, error code, text and path; text may name `Puppet.words`."""

    stage: str
    what: str
    answer: Answer
    change: Mapping[str, Value] = field(default_factory=dict)
    raw: bytes | None = None
    headers: Headers | None = None
    action: str | None = None
    household: str | None = None

    def __str__(self) -> str:
        return f"{self.stage}: {self.what}"


def bad(text: str, path: str | None = None) -> Answer:
    return 400, "30000", text, path


def unauthorized(text: str) -> Answer:
    return 401, "30000", text, None


def not_found(text: str) -> Answer:
    return 404, "30000", text, None


def declined(code: str, text: str, path: str | None = None) -> Answer:
    return 200, code, text, path


def ordered(value: Any) -> dict[str, Value]:
    return {"message.order.items.0.quantity.selected.measure.value": value}


def time_range(offset_s: int, length_s: int = SLOT_S) -> Callable[[Puppet, Any], Json]:
    """The time range that starts so long after the slot that is traded."""

    def change(puppet: Puppet, _: Any) -> Json:
        start, end = puppet.next_slot + offset_s, puppet.next_slot + offset_s + length_s
        return {"start": rfc3339(start), "end": rfc3339(end)}

    return change


def in_slot(offset_s: int) -> dict[str, Value]:
    """Another delivery slot, and the item that is sold in it."""
    return {
        "message.order.fulfillments.0": lambda puppet, _: fulfillment(puppet.next_slot + offset_s),
        "message.order.items.0.id": lambda puppet, _: f"energy-{puppet.next_slot + offset_s}",
    }


def wall_time(seconds: float) -> Callable[[Puppet, Any], str]:
    return lambda puppet, _: rfc3339(puppet.clock.wall() + seconds)


DECIMAL = 'must be a decimal string of kWh ≥ 0 with at most 3 decimals, for example "1.250", not '
QUANTITY = "message.order.items.0.quantity.selected.measure.value"
MEASURE = "message.order.items.0.quantity.selected.measure"
RANGE = "message.order.fulfillments.0.stops.0.time.range"
MONEY = 'must be a decimal string ≥ 0 with at most 6 decimals, for example "0.25", not '
NO_SLOT = "is no delivery slot; slots last 15 minutes and start on the quarter hour"
UUID_PATTERN = "'^[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}$'"
WRONG_SIGNATURE = (
    "wrong signature: it was made with another key, or over another body, created or expires; "
    "the digest of the body received is BLAKE-512={digest}"
)
UNKNOWN_ORDER = str(uuid.UUID(int=1))
