"""A street registers all its members, also where the registry is slow to answer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import play
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.transport import Reply, Transport, TransportTimeoutError
from wattmesh_cli.audit import audit
from wattmesh_common.clock import LoopClock

STREET = planned(MARKET + utility() + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2))


class Late:
    """A transport on which the registry is too slow for the first calls to `/subscribe`."""

    def __init__(self, inner: Transport, late: int) -> None:
        self._inner = inner
        self.late = late

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if url.endswith("/subscribe") and self.late:
            self.late -= 1
            raise TransportTimeoutError(timeout_s)
        return await self._inner.post(url, body, headers, timeout_s=timeout_s)


def test_a_member_whose_registration_got_no_answer_is_registered_all_the_same() -> None:
    made: list[Late] = []

    def wrap(inner: Transport, clock: LoopClock) -> Transport:  # noqa: ARG001
        made.append(Late(inner, 4))
        return made[0]

    street = play(STREET, 1.0, wrap=wrap)
    assert made[0].late == 0
    assert {book.parties[0].party for book in street.books if book.contracts} >= {"flat-0.default", "flat-1.default"}
    assert audit(street.books).findings == ()


def test_a_registry_that_never_answers_is_told_by_name() -> None:
    with pytest.raises(RegistryUnavailable, match=r"flat-1\.default: .*no answer within 5 s"):
        play(STREET, 1.0, wrap=lambda inner, clock: Late(inner, 1_000))  # noqa: ARG005
