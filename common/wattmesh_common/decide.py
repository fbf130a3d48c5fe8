"""`decide` and `correct`: a person, as registrar, accepts readings that a utility holds, has them estimated, or says
what one should have been.

The call is POSTed to `<utility's url>/decide` or `/correct`, signed with the registrar's key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid
from wattmesh_market.units import MAX_ENERGY_WH

DECIDE = "decide"
CORRECT = "correct"
"""Last parts of the URLs' paths."""
MOST_SLOTS = 500
"""How many readings one call decides about at most."""


Slot = Annotated[int, Field(ge=0, lt=2**40)]
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
    slots: list[Slot] = Field(min_length=1, max_length=MOST_SLOTS)
    decision: Decision


class CorrectCall(BaseModel):
    """Body of `correct`: the utility that is called, a household, a slot whose reading is held there or was billed by
    an estimate or another correction, and its net import (Wh; export is negative) as it should have been.

    `message_id` tells one call from another.
    """

    model_config = ConfigDict(frozen=True)

    subscriber_id: SubscriberId
    message_id: Uuid
    household: SubscriberId
    slot: Slot
    net_wh: int = Field(ge=-MAX_ENERGY_WH, le=MAX_ENERGY_WH)


class Billed(BaseModel):
    """What is billed of a slot: net import, in Wh; export is negative."""

    model_config = ConfigDict(frozen=True)

    slot: int
    net_wh: int


class DecideAnswer(BaseModel):
    """What the utility has billed, slot by slot: the answer to both."""

    model_config = ConfigDict(frozen=True)

    billed: tuple[Billed, ...]
