"""What a pod says on its page `/live`, read as a stranger's word: typed, bounded, anything else is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(max_length=253)]
Text = Annotated[str, Field(max_length=500)]
Whole = Annotated[int, Field(ge=-(2**53) + 1, lt=2**53)]
"""What JavaScript's numbers hold exactly."""
Amount = Annotated[int, Field(ge=0, lt=2**53)]
Role = Literal["buyer", "seller", "neither"]
State = Literal["QUOTED", "AGREED", "CONFIRMED", "DELIVERED", "SETTLED", "EXPIRED", "CANCELLED"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Grid(_Part):
    """Grid time at the pod, and how fast it goes."""

    now_s: float = Field(ge=0, lt=2**40, allow_inf_nan=False)
    speed: float = Field(gt=0, le=1_000_000, allow_inf_nan=False)
    utc_offset_s: int = Field(ge=-86_400, le=86_400)


class PartyPage(_Part):
    """How a household or utility stands. Prices are per kWh, in millionths; `next_` is about the slot traded now.

    The grid fee comes on top of what it sells at, to those on its feeder.
    """

    subscriber_id: Name
    name: Name
    kind: Literal["household", "utility"]
    feeder: Name
    level_wh: Amount
    capacity_wh: Amount
    sold_wh: Amount
    bought_wh: Amount
    balance_micro: Whole
    currency: Annotated[str, Field(max_length=3)]
    open_contracts: Amount
    in_doubt: Amount
    draining: bool
    role: Role | None
    next_role: Role | None
    price_micro_per_kwh: Amount
    next_price_micro_per_kwh: Amount
    grid_fee_micro_per_kwh: Amount
    feed_in_micro_per_kwh: Amount


class ContractPage(_Part):
    """One side's record of a contract."""

    party: Name
    side: Literal["buyer", "seller"]
    transaction_id: Annotated[str, Field(max_length=36)]
    counterparty: Name
    slot: Amount
    energy_wh: Amount
    amount_micro: Amount
    state: State
    in_doubt: bool
    delivered_wh: Amount | None
    settled_micro: Amount | None
    reason: Text | None
    created_ms: Amount
    updated_ms: Amount


class MessagePage(_Part):
    """A message and how it was answered."""

    kind: Literal["message"]
    at_ms: Amount
    transaction_id: Annotated[str, Field(max_length=36)]
    message_id: Annotated[str, Field(max_length=36)]
    action: Annotated[str, Field(max_length=20)]
    sender: Name
    recipient: Name
    answer: Literal["ACK", "NACK", "LOST"]
    text: Text


class StoryPage(_Part):
    """A line of somebody's story."""

    kind: Literal["story"]
    at_ms: Amount
    transaction_id: Annotated[str, Field(max_length=36)] | None
    party: Name
    text: Text


Row = tuple[Amount, Amount, Amount, Amount, Amount, Amount, Amount, Amount]
"""A reading: slot, level after it, PV, load, bought, sold, imported, exported (Wh)."""


class PodPage(_Part):
    """The whole page."""

    boot: Annotated[str, Field(max_length=64)]
    number: Amount
    grid: Grid
    parties: Annotated[tuple[PartyPage, ...], Field(max_length=2_000)]
    contracts: Annotated[tuple[ContractPage, ...], Field(max_length=2_000)]
    readings: dict[Name, Annotated[tuple[Row, ...], Field(max_length=200)]]
    happenings: Annotated[
        tuple[Annotated[MessagePage | StoryPage, Field(discriminator="kind")], ...], Field(max_length=2_000)
    ]


def read_page(body: bytes) -> PodPage:
    """The page in an answer's body; pydantic's ValidationError when it is none."""
    return PodPage.model_validate_json(body)
