"""What was answered lately, so that a search sent twice is broadcast once, and a question is answered once.

A start may forget it: the sellers' own inboxes still know a search that comes twice.
"""

from __future__ import annotations

import json
from hashlib import blake2b

from sqlalchemy import Executable, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert  # what it makes, SQLite understands as well

from wattmesh_beckn.errors import busy, too_many
from wattmesh_beckn.receiver import FirstAnswer, Received
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_gateway.database import Database, Rows
from wattmesh_gateway.tables import ANSWERED

MOST = 100_000
MOST_OF_ONE_SENDER = 1_000
"""So that no single sender can fill it for all."""
FORGET_EVERY_S = 1.0


class GatewayInbox:
    """Beckn's Inbox with a bound. An answer is kept for as long as its message is not refused for its age."""

    def __init__(
        self, database: Database, clock: Clock, *, most: int = MOST, most_of_one_sender: int = MOST_OF_ONE_SENDER
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most
        self._most_of_one_sender = most_of_one_sender
        self._forgot_at = float("-inf")

    async def first_answer(self, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        """See Inbox."""
        now = self._clock.wall()
        for status, body, headers, said in await self._ask(_FIRST, call=_call(sender, message_id, action), now=now):
            return FirstAnswer(Reply(status, body, json.loads(headers)), said)
        return None

    async def require_room(self, sender: str) -> None:
        """Refuse when one more answer cannot be remembered: 429 when that is because of `sender`, else 503."""
        now = self._clock.wall()
        if now - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = now
            await self._ask(_FORGET, now=now)
        [(of_one, first_end, of_all)] = await self._ask(_ROOM, sender=sender, now=now, most=self._most)
        if of_one >= self._most_of_one_sender:
            text = f"{sender!r} has {of_one} messages that have not expired yet, and may have no more"
            raise too_many(text, first_end - now)
        if of_all >= self._most:
            raise busy(f"{of_all} messages have not expired yet; no more can be told apart", 1)

    async def remember(self, received: Received, reply: Reply, keep_until: float) -> None:
        """Keep the answer to a new message until unix second `keep_until`, from when on the message is refused."""
        sender = received.sender.subscriber_id
        await self._ask(
            _REMEMBER,
            call=_call(sender, received.context.message_id, received.action),
            sender=sender,
            keep_until=keep_until,
            status=reply.status,
            body=reply.body,
            headers=json.dumps(dict(reply.headers)),
            said=received.said,
        )

    async def _ask(self, statement: Executable, **values: object) -> Rows:
        try:
            return await self._database.run(statement, values)
        except RegistryUnavailable as error:
            raise busy(str(error), 1) from error


def _call(sender: str, message_id: str, action: str) -> bytes:
    return blake2b("\0".join((sender, message_id, action)).encode(), digest_size=16).digest()


_KEPT = ANSWERED.c.keep_until >= bindparam("now")
_FIRST = select(ANSWERED.c.status, ANSWERED.c.body, ANSWERED.c.headers, ANSWERED.c.said).where(
    ANSWERED.c.call == bindparam("call"), _KEPT
)
_FORGET = delete(ANSWERED).where(ANSWERED.c.keep_until < bindparam("now"))
_OF_ONE = select(ANSWERED.c.keep_until).where(ANSWERED.c.sender == bindparam("sender"), _KEPT).subquery()
_OF_ALL = select(ANSWERED.c.call).where(_KEPT).limit(bindparam("most")).subquery()
_ROOM = select(
    func.count(),
    func.min(_OF_ONE.c.keep_until),
    select(func.count()).select_from(_OF_ALL).scalar_subquery(),
).select_from(_OF_ONE)
_REMEMBER = insert(ANSWERED).on_conflict_do_nothing()
