"""How often somebody may call: a token bucket for each name, which replicas of a gateway share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, bindparam, case, delete, select
from sqlalchemy.dialects.postgresql import insert  # what it makes, SQLite understands as well

from wattmesh_beckn.errors import busy, too_many
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_common.clock import Clock
from wattmesh_common.limits import refusal
from wattmesh_gateway.database import Database
from wattmesh_gateway.tables import ALLOWANCE

FORGET_EVERY_S = 60.0
_EPSILON_S = 1e-6
"""More than a difference of two floats of unix seconds is wrong by."""


class Limit:
    """`burst` at once and `per_s` a second (wall time), for each name by itself. `what` tells limits apart.

    Asking in vain takes nothing. Names must cost something, such as a subscription or an address: a name is remembered
    until its bucket is full again.
    """

    def __init__(self, database: Database, clock: Clock, *, per_s: float, burst: int, what: str) -> None:
        self._database = database
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._what = what
        self._forgot_at = float("-inf")

    async def require(self, name: str) -> None:
        """Take one of `name`'s share, or refuse (429) and say what the limit is and when to come again; Refusal (503)
        when the database fails.
        """
        now = self._clock.wall()
        values = {"what": self._what, "name": name, "now": now}
        values |= {"one": 1 / self._per_s, "all": self._burst / self._per_s + _EPSILON_S}
        try:
            await self._forget(now)
            if await self._database.run(_TAKE, values):
                return
            [(full_at,)] = await self._database.run(_HELD, values)
        except RegistryUnavailable as error:
            raise busy(str(error), 1) from error
        wait_s = full_at + (1 - self._burst) / self._per_s - now
        raise too_many(refusal(name, self._burst, self._what, self._per_s), wait_s)

    async def _forget(self, now: float) -> None:
        if now - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = now
            await self._database.run(_FORGET, {"what": self._what, "now": now})


def _value(name: str) -> Any:
    return bindparam(name, type_=Float())


_FULL_AT = ALLOWANCE.c.full_at
_AFTER = case(
    (_value("now") >= _FULL_AT, _value("now")),
    # A clock that was set back finds an empty bucket at worst.
    (_value("now") + _value("all") < _FULL_AT, _value("now") + _value("all")),
    else_=_FULL_AT,
) + _value("one")
_FIRST = insert(ALLOWANCE).values(what=bindparam("what"), name=bindparam("name"), full_at=_value("now") + _value("one"))
_TAKE = _FIRST.on_conflict_do_update(
    index_elements=[ALLOWANCE.c.what, ALLOWANCE.c.name],
    set_={"full_at": _AFTER},
    where=_value("now") + _value("all") >= _AFTER,
).returning(_FULL_AT)
_HELD = select(_FULL_AT).where(ALLOWANCE.c.what == bindparam("what"), ALLOWANCE.c.name == bindparam("name"))
_FORGET = delete(ALLOWANCE).where(ALLOWANCE.c.what == bindparam("what"), _value("now") >= _FULL_AT)
