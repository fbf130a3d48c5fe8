"""The gateway's address: which call is answered by what."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import ErrorCode, Refusal, busy
from wattmesh_beckn.receiver import Receiver
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.limits import TOLD_AT_ONCE, TOLD_PER_S, RateLimit
from wattmesh_gateway.lookup import Lookups
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.subscribe import Subscribing

_log = logging.getLogger(__name__)


class GatewaySite:
    """Beckn's Site of a gateway: `/lookup`, `/subscribe`, and what its network's protocols have."""

    def __init__(
        self,
        *,
        receivers: Mapping[str, Receiver],
        subscribing: Subscribing,
        lookups: Lookups,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._receivers = receivers
        self._subscribing = subscribing
        self._lookups = lookups
        self._metrics = metrics
        self._clock = clock
        self._told = RateLimit(per_s=TOLD_PER_S, burst=TOLD_AT_ONCE)

    @property
    def actions(self) -> list[str]:
        """Beckn's calls that are answered here."""
        return sorted(self._receivers)

    @property
    def paths(self) -> str:
        """Where calls are answered, in words."""
        return ", ".join(sorted(("/lookup", "/subscribe", *(f"/{action}" for action in self._receivers))))

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a call. Header names are lower case. Refusals become NACK; nothing is raised."""
        answer = await self._answer(path, body, headers)
        if answer.status == 429:
            self._metrics.limited(path[1:])
            if not self._told.wait_s("", self._clock.wall()):
                _log.warning("refused %s: %s", path[1:], answer.body.decode())
        return answer

    async def _answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if (receiver := self._receivers.get(path[1:])) is not None:
            answer = await receiver.receive(path[1:], body, headers)
            self._metrics.answer(path[1:], answer)
            return answer
        try:
            if path == "/lookup":
                return await self._lookups.answer(body, headers)
            if path == "/subscribe":
                return await self._subscribing.answer(body, headers)
            message = f"no such path {path[:100]!r}; there are {self.paths}"
            raise Refusal(404, ErrorCode.INVALID_REQUEST, message)
        except Refusal as refusal:
            return nack(refusal)
        except RegistryUnavailable as error:
            return nack(busy(str(error), 1))
