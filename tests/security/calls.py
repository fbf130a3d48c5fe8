"""Every call that somebody may try to forge: where it goes, who must sign it, and how the good one comes about."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.security.arena import Arena
from tests.street.puppet import STREET
from tests.street.stages import STAGES
from tests.world.calls import Json
from wattmesh_beckn.context import ACTIONS
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer
from wattmesh_common.runtime import REGISTRAR

GATEWAY_ID = STREET.subscriber_id


@dataclass(frozen=True)
class Good:
    """A call that will be taken: `sender` and `receiver` are the paths of the fields that say who they are."""

    url: str
    realm: str
    signer: Signer
    call: Json
    sender: str | None
    receiver: str | None
    other_url: str | None = None
    """The same door of another household."""
    needs_gateway: bool = False


@dataclass(frozen=True)
class Target:
    """A call by its name. `kind` is beckn, subscribe or drain; a buyer sends requests, a seller callbacks."""

    name: str
    prepare: Callable[[Arena], Awaitable[Good]]
    kind: str = "beckn"

    def __str__(self) -> str:
        return self.name

    @property
    def is_callback(self) -> bool:
        return self.name.startswith("on_")


def _trading(stage: str) -> Callable[[Arena], Awaitable[Good]]:
    """A message of the puppet to a household or utility, at the stage of trade where it belongs."""

    async def prepare(arena: Arena) -> Good:
        call = await STAGES[stage](arena.puppet)
        action = call["context"]["action"]
        mine, theirs = ("bpp_id", "bap_id") if action.startswith("on_") else ("bap_id", "bpp_id")
        to = call["context"].get(theirs, "roof-0.default").partition(".")[0]
        other = "roof-0" if to != "roof-0" else "low-0"
        return Good(
            f"http://{to}/{to}/{action}",
            f"{to}.default",
            arena.puppet.me,
            call,
            f"context.{mine}",
            f"context.{theirs}",
            f"http://{other}/{other}/{action}",
            needs_gateway=action == "search",
        )

    return prepare


async def _gateway_search(arena: Arena) -> Good:
    call = await STAGES["search"](arena.puppet)
    return Good("http://gateway/search", GATEWAY_ID, arena.puppet.me, call, "context.bap_id", None)


async def _subscribe(arena: Arena) -> Good:
    """The puppet moves."""
    entry = arena.entry(arena.puppet.me, "BPP", feeder="main", url="http://puppet/new")
    call = entry.model_dump(mode="json", exclude_none=True)
    return Good("http://gateway/subscribe", GATEWAY_ID, arena.puppet.me, call, "subscriber_id", None)


async def _drain(arena: Arena) -> Good:
    call = {"subscriber_id": "roof-0.default", "message_id": str(uuid.uuid4()), "draining": True}
    return Good(
        "http://roof-0/roof-0/drain",
        "roof-0.default",
        arena.signers[REGISTRAR],
        call,
        None,
        "subscriber_id",
        "http://low-0/low-0/drain",
    )


BECKN = [
    *(Target(action, _trading("pay" if action == "update" else action)) for action in ACTIONS),
    Target("update with a reading", _trading("reading")),
]
GATEWAY_SEARCH = Target("search at the gateway", _gateway_search)
SUBSCRIBE = Target("subscribe", _subscribe, "subscribe")
DRAIN = Target("drain", _drain, "drain")
TARGETS = [*BECKN, GATEWAY_SEARCH, SUBSCRIBE, DRAIN]


def write(call: Json) -> bytes:
    return json.dumps(call).encode()


def sign(
    arena: Arena, good: Good, body: bytes, by: Signer | None = None, *, created: int = 0, expires: int = 30
) -> dict[str, str]:
    """Headers for a body; `created` and `expires` are seconds from now. The gateway vouches for whatever it sees."""
    now = int(arena.clock.now)
    headers = {AUTHORIZATION: (by or good.signer).sign(body, created=now + created, expires=now + expires)}
    if good.needs_gateway:
        headers[GATEWAY_AUTHORIZATION] = arena.signers[GATEWAY_ID].sign(body, created=now, expires=now + expires + 60)
    return headers
