"""What pods say on their pages, as tests need it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from wattmesh_beckn.transport import Reply, TransportError
from wattmesh_common.pod_pages import LivePage, read_live
from wattmesh_gateway.members import Member

SLOT = 1_790_000_100
"""The running slot of a grid whose time is a minute later."""
ROOF, FLAT, UTILITY, GATEWAY = "roof-0.street", "flat-0.street", "utility.street", "market.street"


def party(subscriber_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "subscriber_id": subscriber_id,
        "name": subscriber_id.partition(".")[0],
        "kind": "household",
        "feeder": "main",
        "level_wh": 8_000,
        "capacity_wh": 10_000,
        "sold_wh": 0,
        "bought_wh": 0,
        "balance_micro": 0,
        "currency": "EUR",
        "open_contracts": 0,
        "in_doubt": 0,
        "draining": False,
        "role": None,
        "next_role": "seller",
        "price_micro_per_kwh": 150_000,
        "next_price_micro_per_kwh": 150_000,
        "grid_fee_micro_per_kwh": 0,
        "feed_in_micro_per_kwh": 80_000,
        **changes,
    }


def contract(side: str, state: str, **changes: Any) -> dict[str, Any]:
    """The contract of FLAT with ROOF in transaction `t`, as one of them holds it."""
    pair = (FLAT, ROOF) if side == "buyer" else (ROOF, FLAT)
    return {
        "party": pair[0],
        "side": side,
        "transaction_id": "t",
        "counterparty": pair[1],
        "slot": SLOT + 900,
        "energy_wh": 500,
        "amount_micro": 75_000,
        "state": state,
        "in_doubt": False,
        "delivered_wh": None,
        "settled_micro": None,
        "reason": None,
        "created_ms": 1_000,
        "updated_ms": 1_000,
        **changes,
    }


def message(
    action: str, sender: str, recipient: str, at_ms: int, answer: str = "ACK", **changes: Any
) -> dict[str, Any]:
    return {
        "kind": "message",
        "at_ms": at_ms,
        "transaction_id": "t",
        "message_id": f"m-{action.removeprefix('on_')}",
        "action": action,
        "sender": sender,
        "recipient": recipient,
        "answer": answer,
        "text": "" if answer == "ACK" else "why",
        **changes,
    }


def story(party_id: str, text: str, at_ms: int, transaction_id: str | None = "t") -> dict[str, Any]:
    return {"kind": "story", "at_ms": at_ms, "transaction_id": transaction_id, "party": party_id, "text": text}


def raw_page(*parties: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "boot": "first",
        "number": 0,
        "grid": {"now_s": SLOT + 60.0, "speed": 60.0, "utc_offset_s": 7200},
        "parties": list(parties),
        "contracts": [],
        "readings": {},
        "happenings": [],
        **changes,
    }


def page(*parties: dict[str, Any], **changes: Any) -> LivePage:
    return read_live(json.dumps(raw_page(*parties, **changes)).encode())


def pods(**ids: Iterable[str]) -> dict[str, dict[str, Member]]:
    """Who lives at `http://<pod>`."""
    return {
        f"http://{pod}": {name: Member(name, f"http://{pod}/{name}", "main") for name in names}
        for pod, names in ids.items()
    }


class Pods:
    """Pages `/live` by the pod's url, others by their own; what is not there does not answer.

    `asked` has every url `/live` that was asked for.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.delay_s = 0.0

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002
        pod, live, _ = url.partition("/live?")
        if live:
            self.asked.append(url)
        await asyncio.sleep(self.delay_s)
        answer = self.pages.get(pod if live else url.partition("?")[0])
        if answer is None:
            raise TransportError("connection refused")
        return answer if isinstance(answer, Reply) else Reply(200, json.dumps(answer).encode())
