"""Trade partners that do not play fair: what they are answered, and that the honest side's books stay right."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from tests.beckn.support import changed
from tests.street.puppet import PUPPET, STRANGER, STREET, Puppet, puppet_play
from tests.street.stages import fulfillment
from tests.world.calls import Json, paid, quantity, recipient, taken
from tests.world.street import Street
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.fields import ProtocolVersion
from wattmesh_market.parties.books import Books
from wattmesh_market.trade.contracts import DELIVERED, Contract, ContractState, Side

HONEST = frozenset(subscriber_ids(STREET))
ACKED = (200, "", "")
PRICE_OF_ROOF_MICRO, PRICE_OF_UTILITY_MICRO = 150_000, 250_000
"""What a kWh costs."""
IN_FORCE = frozenset(state.value for state in (ContractState.CONFIRMED, *DELIVERED))


def said(reply: Reply) -> tuple[int, str, str]:
    """Status, error code and text of an answer; `ACKED` for an ACK."""
    answer = json.loads(reply.body)
    of_v1 = answer["message"].get("ack")
    if (of_v1 or answer)["status"] == "ACK":
        return ACKED
    error = answer["error"]
    return reply.status, *((error["code"], error["message"]) if of_v1 else (error["errorCode"], error["errorMessage"]))


async def tell(puppet: Puppet, call: Json, by: Signer | None = None) -> Reply:
    """Send a message to whom it is for, sealed by the puppet or by another of its faces, in whose name it is then."""
    context, to = call["context"], recipient(call)
    callback = context["action"].startswith("on_")
    if by is not None:
        call = changed(call, "context.bpp_id" if callback else "context.bap_id", by.subscriber_id)
    action, body = puppet.written(call)
    return await puppet.send(to, action, body, puppet.signed(body, by))


async def answer_to(puppet: Puppet, call: Json, by: Signer | None = None) -> tuple[int, str, str]:
    """Tell, and what is said to it."""
    return said(await tell(puppet, call, by))


async def answer_to_altered(puppet: Puppet, call: Json, changes: Mapping[str, Any]) -> tuple[int, str, str]:
    """Tell a call with `changes` (dotted path → value) of what stands on the wires, and what is said to it.

    So is said what the codec of neither side would write.
    """
    action, body = puppet.written(call)
    raw = json.loads(body)
    for path, value in changes.items():
        raw = changed(raw, path, value)
    body = json.dumps(raw).encode()
    return said(await puppet.send(recipient(call), action, body, puppet.signed(body)))


def anew(puppet: Puppet, call: Json, changes: Mapping[str, Any] | None = None) -> Json:
    """The same said now, as a message of its own; `changes` (dotted path → value) make it another."""
    context = call["context"]
    call = puppet.call(context["action"], recipient(call), call["message"], context["transaction_id"])
    for path, value in (changes or {}).items():
        call = changed(call, path, value)
    return call


def select_of(
    puppet: Puppet, transaction: str, *, kwh: str = "0.500", slots_ahead: int = 1, of: str = "roof-0"
) -> Json:
    """A select of a seller's energy."""
    slot = puppet.slot + slots_ahead * 900
    order = {
        "provider": {"id": f"{of}.default"},
        "items": [{"id": f"energy-{slot}", "quantity": quantity(kwh)}],
        "fulfillments": [fulfillment(slot)],
    }
    return puppet.call("select", of, {"order": order}, transaction)


async def bought(puppet: Puppet, transaction: str, *, kwh: str = "0.500", of: str = "roof-0") -> Json:
    """Buy from a seller for the next slot; the order as it was confirmed."""
    await puppet.say(select_of(puppet, transaction, kwh=kwh, of=of))
    quoted = (await puppet.hears("on_select", of))["message"]["order"]
    await puppet.say(puppet.call("init", of, taken(quoted), transaction))
    agreed = (await puppet.hears("on_init", of))["message"]["order"]
    await puppet.say(puppet.call("confirm", of, {"order": agreed}, transaction))
    confirmed: Json = (await puppet.hears("on_confirm", of))["message"]["order"]
    return confirmed


def payment_of(puppet: Puppet, order: Json, transaction: str, of: str = "roof-0") -> Json:
    """`update` that says an order is paid as it is due."""
    return puppet.call("update", of, paid(order), transaction)


def at_slot(puppet: Puppet, call: Json, slot: int) -> Json:
    """A reading, of another slot."""
    time_range = fulfillment(slot)["stops"][0]["time"]["range"]
    changes = {"message.order.fulfillments.0.stops.0.time.range": time_range}
    return anew(puppet, call, changes) | {"context": {**anew(puppet, call)["context"], "transaction_id": trade(slot)}}


def trade(number: int) -> str:
    return str(uuid.UUID(int=1000 + number))


def books_of(puppet: Puppet, party: str) -> Books:
    """A household's books, as they stand now."""
    return puppet.run.pods[party].parties[party].books


def honest_sales(books: Iterable[Book]) -> int:
    """Contracts in force or done between those who keep their word."""
    rows = [row for book in books for row in book.contracts]
    return len([row for row in rows if row.side == "buyer" and row.counterparty != PUPPET and row.state in IN_FORCE])


def sold_to_others(puppet: Puppet) -> list[Contract]:
    """What roof-0 has under order with its neighbours."""
    books = books_of(puppet, "roof-0")
    slots = range(puppet.slot - 4 * 900, puppet.slot + 2 * 900, 900)
    rows = [row for slot in slots for row, _ in books.of_slot(Side.SELLER, slot)]
    return [row for row in rows if row.counterparty != PUPPET and row.order_id is not None]


class Played(Protocol):
    """`played` over one version of Beckn: the fixture of this name runs a test over each of them."""

    def __call__(
        self,
        work: Callable[[Puppet], Awaitable[None]],
        *,
        hours: float = 1.0,
        energy_wh: int = 0,
        amount_micro: int = 0,
    ) -> Street:
        """See `played`."""
        ...


def played(
    work: Callable[[Puppet], Awaitable[None]],
    *,
    hours: float = 1.0,
    energy_wh: int = 0,
    amount_micro: int = 0,
    protocol: ProtocolVersion = "v1",
) -> Street:
    """Run the street with a puppet that does `work`, and audit the honest books alone: no finding, all adds up.

    `energy_wh` and `amount_micro` are what the honest have booked with the puppet, received and earned being positive.
    """
    street = puppet_play(work, hours, protocol)
    result = audit(street.books, HONEST)
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    assert (result.energy_with_departed_wh, result.amount_with_departed_micro) == (energy_wh, amount_micro)
    assert not any(street.faults.values())
    assert [record.getMessage() for record in street.log if record.exc_info] == []
    assert STRANGER not in {row.counterparty for book in street.books for row in book.contracts}
    return street
