"""`close`: a party that leaves tells each party it has booked anything with how their account stands at the end.

The record is POSTed to `<url of the other party>/close`, signed with the leaving party's key like a Beckn message. The
other party keeps body and signature: they are the evidence of what the one that left had booked.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid

CLOSE = "close"
"""Last part of the URL's path."""
_LARGEST = 2**53


class ClosingRecord(BaseModel):
    """How all that `party` has booked with `counterparty` sums up. Energy is in Wh, money in millionths.

    `account` tells the party from others of its name: each ledger has its own. Nothing that belongs to the slot
    `until` (its start in unix seconds of grid time) or a later one is in the record. Energy received and money earned
    by `party` are positive.
    """

    model_config = ConfigDict(frozen=True)

    party: SubscriberId
    account: Uuid
    counterparty: SubscriberId
    until: int = Field(ge=0, lt=_LARGEST)
    entries: int = Field(ge=1, lt=_LARGEST)
    energy_wh: int = Field(gt=-_LARGEST, lt=_LARGEST)
    amount_micro: int = Field(gt=-_LARGEST, lt=_LARGEST)
