"""`drain`: the operator, as registrar, asks a household to make no new contracts before it is taken down.

The call is POSTed to `<household's url>/drain`, signed with the registrar's key.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid

DRAIN = "drain"
"""Last part of the URL's path."""


class DrainCall(BaseModel):
    """Body of `drain`: which household, and whether it shall drain. `message_id` tells one call from another."""

    model_config = ConfigDict(frozen=True)

    subscriber_id: SubscriberId
    message_id: Uuid
    draining: bool


class DrainAnswer(BaseModel):
    """What the household says: whether it drains, how many contracts are still open, and how many readings of the time
    before it was told to drain its utility has not priced yet.
    """

    model_config = ConfigDict(frozen=True)

    draining: bool
    open_contracts: int = Field(ge=0)
    unpriced_readings: int = Field(default=0, ge=0)
