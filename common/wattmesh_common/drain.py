"""`drain`: the operator, as registrar, asks a household to make no new contracts and to close its account.

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
    """What the household says: whether it drains, how many contracts are still open, how many readings its utility
    has not priced yet, and whether its account is closed.

    `closed` is None where the pod is of a version that closes none.
    """

    model_config = ConfigDict(frozen=True)

    draining: bool
    open_contracts: int = Field(ge=0)
    unpriced_readings: int = Field(default=0, ge=0)
    closed: bool | None = None
