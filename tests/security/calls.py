"""Every call that somebody may try to forge: where it goes, who must sign it, and how the good one comes about."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.security.arena import Arena
from tests.street.puppet import NETWORK, PUPPET, STREET
from tests.street.stages import STAGES, on_search, search
from tests.street.translating import published
from tests.world.calls import Json
from wattmesh_beckn.context import ACTIONS
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer
from wattmesh_common.fields import ProtocolVersion
from wattmesh_common.runtime import REGISTRAR

GATEWAY_ID = STREET.subscriber_id
PUBLISH = "catalog/publish"


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
    """A call by its name. A buyer sends requests, a seller callbacks and publications."""

    name: str
    prepare: Callable[[Arena], Awaitable[Good]]
    protocol: ProtocolVersion = "v1"

    def __str__(self) -> str:
        return self.name if self.protocol == "v1" else f"{self.name} in v2"

    @property
    def is_callback(self) -> bool:
        return self.name.startswith("on_")

    @property
    def is_sellers(self) -> bool:
        return self.is_callback or self.name == PUBLISH


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


def _trading_v2(stage: str) -> Callable[[Arena], Awaitable[Good]]:
    """The same message in v2."""

    async def prepare(arena: Arena) -> Good:
        good = await _trading(stage)(arena)
        action, body = arena.puppet.written(good.call)
        url, other = (one and f"{one.rpartition('/')[0]}/{action}" for one in (good.url, good.other_url))
        mine, theirs = ("bppId", "bapId") if action.startswith("on_") else ("bapId", "bppId")
        names = f"context.{mine}", f"context.{theirs}"
        return Good(url or "", good.realm, good.signer, json.loads(body), *names, other)

    return prepare


async def _gateway_discover(arena: Arena) -> Good:
    call = json.loads(arena.puppet.written(await search(arena.puppet))[1])
    context = {name: value for name, value in call["context"].items() if name not in ("bppId", "bppUri")}
    call = {**call, "context": context}
    return Good("http://gateway/discover", GATEWAY_ID, arena.puppet.me, call, "context.bapId", None)


async def _gateway_publish(arena: Arena) -> Good:
    call = json.loads(published(await on_search(arena.puppet), NETWORK))
    return Good(f"http://gateway/{PUBLISH}", GATEWAY_ID, arena.puppet.me, call, "context.bppId", None)


async def _found_by_gateway(arena: Arena) -> Good:
    """What the gateway answers low-0: an offer of the puppet."""
    told = json.loads(arena.puppet.written(await on_search(arena.puppet))[1])
    seller = {"bppId": PUPPET, "bppUri": arena.puppet.url}
    catalogs = [{**one, **seller} for one in told["message"]["catalogs"]]
    context = {name: value for name, value in told["context"].items() if name not in seller}
    return _of_gateway(arena, "low-0", "bapId", {"context": context, "message": {"catalogs": catalogs}})


async def _rejected_by_gateway(arena: Arena) -> Good:
    """What the gateway tells roof-0 of a catalog that it cannot take."""
    call = json.loads(published(await on_search(arena.puppet), NETWORK))
    error = {"errorCode": "30000", "errorMessage": "it is too large"}
    results = [{"catalogId": "energy", "status": "REJECTED", "errors": [error]}]
    to = {"action": "catalog/on_publish", "bppId": "roof-0.default", "bppUri": "http://roof-0/roof-0"}
    told = {"context": call["context"] | to, "message": {"results": results}}
    return _of_gateway(arena, "roof-0", "bppId", told)


def _of_gateway(arena: Arena, to: str, receiver: str, call: Json) -> Good:
    action, other = call["context"]["action"], "low-0" if to == "roof-0" else "roof-0"
    url, elsewhere = (f"http://{one}/{one}/{action}" for one in (to, other))
    return Good(url, f"{to}.default", arena.signers[GATEWAY_ID], call, None, f"context.{receiver}", elsewhere)


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


_STAGES = {
    **{action: "pay" if action == "update" else action for action in ACTIONS},
    "update with a reading": "reading",
}
BECKN = [Target(name, _trading(stage)) for name, stage in _STAGES.items()]
GATEWAY_SEARCH = Target("search at the gateway", _gateway_search)
SUBSCRIBE = Target("subscribe", _subscribe)
DRAIN = Target("drain", _drain)
_IN_V2: Mapping[str, str] = {"search": "discover", "on_search": "on_discover"}
BECKN_V2 = [Target(_IN_V2.get(name, name), _trading_v2(stage), "v2") for name, stage in _STAGES.items()]
"""What the puppet says to households and utility in v2."""
TO_GATEWAY_V2 = [
    Target("discover at the gateway", _gateway_discover, "v2"),
    Target(PUBLISH, _gateway_publish, "v2"),
]
OF_GATEWAY_V2 = [
    Target("on_discover of the gateway", _found_by_gateway, "v2"),
    Target("catalog/on_publish", _rejected_by_gateway, "v2"),
]
V2 = [*BECKN_V2, *TO_GATEWAY_V2, *OF_GATEWAY_V2]
TARGETS = [*BECKN, GATEWAY_SEARCH, SUBSCRIBE, DRAIN, *V2]


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
