"""`forget`: a pod is told, by its registrar, to let go of what it keeps of a household that has left.

The call is POSTed to `<url of a party of the pod>/forget`, signed with the registrar's key.
"""

from __future__ import annotations

from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid

FORGET = "forget"
"""Last part of the URL's path."""
FORGOTTEN = "forgotten"
"""Stands in the books in place of every household that was forgotten. No subscriber has this id, and no household or
utility this name, which people would take for it.
"""
FORGOTTEN_IS_TAKEN = "books have this name in place of households that were forgotten; choose another"
"""What is said to who asks for it."""


class ForgetCall(BaseModel):
    """Body of `forget`: a party of the pod that is called, and a household that has left.

    `lost`: it could not close its account, for its books are lost or were looked into otherwise. `only_count` changes
    nothing. `message_id`, which is the same for all pods that are told, salts what they keep of the household's id.
    """

    model_config = ConfigDict(frozen=True)

    subscriber_id: SubscriberId
    message_id: Uuid
    household: SubscriberId
    lost: bool = False
    only_count: bool = False


def id_digest(household: str, salt: bytes) -> bytes:
    """What is kept of the id of a household that was forgotten: who names it again can be told so."""
    return sha256(salt + household.encode()).digest()


class ForgottenRows(BaseModel):
    """How many rows of a kind go from a party's books; `party` is empty where they are the pod's."""

    model_config = ConfigDict(frozen=True)

    party: str
    kind: str
    rows: int = Field(ge=1)


class ForgetAnswer(BaseModel):
    """What goes, or is to go. `wiped`: nothing of it is left in the unused parts of the database's files."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[ForgottenRows, ...]
    wiped: bool
