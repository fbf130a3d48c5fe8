"""From what schemathesis generates to what is sent: unsigned, or signed and as plausible as wanted."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tests.fuzz.trader import Trader
from tests.street.puppet import PUPPET
from tests.world.calls import Json, recipient
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer
from wattmesh_common.clock import SystemClock, rfc3339, utc

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    "",
    " ",
    "0",
    "-1",
    "NaN",
    "1e9",
    "\x00",
    "é" * 300,
    [],
    {},
    [[]],
    "2026-02-30T00:00:00Z",
)


# --- what the documents describe ---


def lean_document(document: Json, *, bodies_only: bool) -> Json:
    """An OpenAPI document that is generated from ten times as fast, and still allows all that matters.

    Half the time went into values for fields that no schema names, in every one of up to 200 nested objects, and most
    of the rest into long lists. Only the outermost object gets such fields, and a list at most two parts.

    With `bodies_only` there is no `context`, which costs as much as all the rest and is refused before the message is
    read, and amounts have few digits, for those with 12 are refused before anything is done with them.
    """
    result = copy.deepcopy(document)
    for operations in result["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = _lean(content["schema"], outermost=True)
                if bodies_only and "context" in schema["properties"]:
                    schema = json.loads(json.dumps(schema).replace(r"^\\d{1,12}", r"^[1-9]\\d{0,1}"))
                    del schema["properties"]["context"]
                    schema["required"].remove("context")
                content["schema"] = schema
    return result


def _lean(node: Any, *, outermost: bool = False) -> Any:
    if isinstance(node, list):
        return [_lean(part) for part in node]
    if not isinstance(node, dict):
        return node
    result = {name: _lean(value) for name, value in node.items()}
    if node.get("type") == "object" and "properties" in node and not outermost:
        result.setdefault("additionalProperties", False)
    if node.get("type") == "array":
        result["maxItems"] = min(node.get("maxItems", 2), 2)
    return result


# --- headers of somebody who has no key ---


def unsigned_headers(trader: Trader, body: bytes, rng: random.Random) -> dict[str, str]:
    """None, nonsense, or a signature that does not count."""
    good = trader.signed(body)
    stranger = Signer.from_seed(rng.choice([PUPPET, "stranger.default", "registrar"]), trader.me.key_id, b"\x07" * 32)
    kinds: list[Callable[[], Mapping[str, str]]] = [
        dict,
        lambda: {AUTHORIZATION: _latin(rng, 80)},
        lambda: {AUTHORIZATION: "Signature " + _latin(rng, 200)},
        lambda: {AUTHORIZATION: _spoilt_text(good[AUTHORIZATION], rng)},
        lambda: trader.signed(body + b" "),
        lambda: trader.signed(body, stranger),
        lambda: {**good, GATEWAY_AUTHORIZATION: _spoilt_text(good[GATEWAY_AUTHORIZATION], rng), AUTHORIZATION: ""},
    ]
    return {"content-type": "application/json", **rng.choice(kinds)()}


def _latin(rng: random.Random, most: int) -> str:
    """What a header may hold, with nothing that HTTP itself refuses around it."""
    return (
        "x"
        + "".join(chr(rng.choice([*range(0x20, 0x7F), *range(0xA1, 0x100)])) for _ in range(rng.randrange(most)))
        + "x"
    )


def _spoilt_text(text: str, rng: random.Random) -> str:
    """One character of a header is another or gone: never the same header in another spelling of base64."""
    place = rng.randrange(len(text) - 6)
    return text[:place] + rng.choice(["", "#", '"', "|"]) + text[place + 1 :]


# --- bodies that a subscriber signs ---


def signed_message(trader: Trader, action: str, to: str, generated: Any, rng: random.Random) -> tuple[str, Any]:
    """Whom to send it to, and a message that gets past the signature.

    As generated, in a good context, or one of a trade, spoilt or not.
    """
    kind = rng.random()
    if kind < 0.1 and isinstance(generated, dict):
        mine = "bpp_id" if action.startswith("on_") else "bap_id"
        context = generated.get("context")
        return to, {**generated, "context": {**(context if isinstance(context, dict) else {}), mine: PUPPET}}
    message = generated.get("message") if isinstance(generated, dict) else generated
    good = trader.good_call(action, rng) if kind > 0.4 else None
    if good is None:
        return to, trader.call(action, to, forwards(message))
    if rng.random() < 0.5:
        good["message"] = spoilt(good["message"], message, rng)
    return (to if action == "search" else recipient(good)), good


def forwards(node: Any) -> Any:
    """What was generated, with times that end after they start."""
    if isinstance(node, list):
        return [forwards(part) for part in node]
    if not isinstance(node, dict):
        return node
    result = {name: forwards(value) for name, value in node.items()}
    times = [result.get("start"), result.get("end")]
    if all(isinstance(time, str) for time in times):
        result["start"], result["end"] = sorted(str(time) for time in times)
    return result


def spoilt(good: Any, generated: Any, rng: random.Random) -> Any:
    """One to three parts are gone, odd, or what was generated at the same or another place."""
    result = copy.deepcopy(good)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(result, ()))
        if not places:
            break
        *way, last = rng.choice(places)
        holder = _at(result, way)
        other = _at(generated, [*way, last]) if rng.random() < 0.6 else None
        if other is None and rng.random() < 0.3:
            del holder[last]
        elif other is None:
            value = _at(result, rng.choice(places))
            holder[last] = copy.deepcopy(rng.choice([*ODD, value, value]))
        else:
            holder[last] = copy.deepcopy(other)
    return result


def signed_entry(trader: Trader, generated: Any, rng: random.Random) -> Any:
    """A subscription that would send messages nowhere but to this machine, else as generated."""
    now = SystemClock().wall()
    entry = dict(generated) if isinstance(generated, dict) else {}
    good = {
        "subscriber_id": f"fuzzed-{rng.randrange(20)}.default",
        "type": rng.choice(["BAP", "BPP"]),
        "domain": "uei:p2p_trading",
        "location": {"city": {"code": "elsewhere"}, "country": {"code": "DEU"}},
        "key_id": f"00000000-0000-4000-8000-{rng.randrange(4):012d}",
        "signing_public_key": Signer.from_seed("x", "x", rng.randbytes(32)).public_key,
        "valid_from": rfc3339(now - 60),
        "valid_until": rfc3339((utc(now) + timedelta(days=1)).timestamp()),
        "status": rng.choice(["SUBSCRIBED", "UNSUBSCRIBED"]),
    }
    kept = rng.sample(sorted(good), rng.randrange(4))
    entry.update({name: value for name, value in good.items() if name not in kept or name not in entry})
    if entry.get("subscriber_id") == PUPPET:  # the trader's own entries stay, or all else would be refused
        entry["subscriber_id"] = good["subscriber_id"]
    return {**entry, "url": trader.url}


def _places(node: Any, way: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found: list[tuple[Any, ...]] = []
    for name, value in parts:
        found += [(*way, name), *_places(value, (*way, name))]
    return found


def _at(node: Any, way: Any) -> Any:
    for part in way:
        try:
            node = node[part]
        except (LookupError, TypeError):
            return None
    return node


def parsed(body: bytes) -> Any:
    """The JSON in a body, or None."""
    try:
        return json.loads(body)
    except ValueError:
        return None
