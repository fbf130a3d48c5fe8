"""`decide`: a person, as registrar, accepts readings that a utility holds, or has them estimated.

The call is POSTed to `<utility's url>/decide`, signed with the registrar's key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid

DECIDE = "decide"
"""Last part of the URL's path."""
MOST_SLOTS = 500
"""How many readings one call decides about at most."""


Decision = Literal["accept", "estimate"]
"""What becomes of a held reading: it is booked as it was told, or a substitute is."""


class DecideCall(BaseModel):
    """Body of `decide`: the utility that is called, a household, and slots of readings of it that are held there.

    `message_id` tells one call from another.
    """

    model_config = ConfigDict(frozen=True)

    subscriber_id: SubscriberId
    message_id: Uuid
    household: SubscriberId
    slots: list[Annotated[int, Field(ge=0, lt=2**40)]] = Field(min_length=1, max_length=MOST_SLOTS)
    decision: Decision


class Billed(BaseModel):
    """What is billed of a slot: net import, in Wh; export is negative."""

    model_config = ConfigDict(frozen=True)

    slot: int
    net_wh: int


class DecideAnswer(BaseModel):
    """What the utility has billed, slot by slot."""

    model_config = ConfigDict(frozen=True)

    billed: tuple[Billed, ...]
