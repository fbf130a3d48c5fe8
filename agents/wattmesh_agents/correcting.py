"""`correct`: the registrar says what a reading should have been that a utility holds, or has billed by an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattmesh_agents.registrar import asked_by_registrar
from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.errors import ErrorCode, busy, declined
from wattmesh_beckn.transport import Reply
from wattmesh_common.decide import Billed, CorrectCall, DecideAnswer
from wattmesh_market.parties.events import Events
from wattmesh_market.trade.refusal import Refused

if TYPE_CHECKING:
    from wattmesh_agents.receiving import Reception

_BUSY_S = 2
"""When the caller may try again."""


async def correct(reception: Reception, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Correct a reading. Asked again, it has no further effect, so no answer is remembered. Raises Refusal."""
    party, keys = member.party, reception._config.registrar_keys
    call, _ = asked_by_registrar(CorrectCall, body, headers, keys, party.id, reception._clock)
    if party.is_ahead or reception._closings.rests(party):
        raise busy("it takes no corrections now: grid time is behind its books, or its account is closed", _BUSY_S)
    try:
        reception._driver.correct(member, call.household, call.slot, call.net_wh)
    except Refused as refused:
        raise declined(ErrorCode.BUSINESS_ERROR, refused.text, "slot") from None
    return json_reply(200, DecideAnswer(billed=(Billed(slot=call.slot, net_wh=call.net_wh),)))
