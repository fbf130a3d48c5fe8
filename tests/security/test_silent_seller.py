"""A seller that undercuts everybody, takes confirmations and is silent from then on: the attack on a whole street."""

from __future__ import annotations

from datetime import datetime

from tests.security.partners import played
from tests.street.puppet import PUPPET, Puppet
from tests.street.stages import fulfillment
from tests.world.calls import Json, agreed, catalog
from tests.world.street import SLOT_S, Street
from wattmesh_cli.status import status_of
from wattmesh_market.energy.slots import slot_of
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.partners import MOST_DOUBTS, UNANSWERED

HOURS = 4.0
CHEAP = "0.000001"
HELD = {state.value for state in (ContractState.CONFIRMED, ContractState.DELIVERED, ContractState.SETTLED)}


class Silent:
    """Plays the seller for a street: cheap offers, quotes and terms, and then not a word."""

    def __init__(self, puppet: Puppet) -> None:
        self._puppet = puppet
        self.confirmed: list[tuple[str, int]] = []
        """Buyer and slot of each confirmation."""

    async def play(self, slots: int) -> None:
        """Answer what is heard, until so many slots have passed."""
        puppet = self._puppet
        end = puppet.slot + slots * SLOT_S
        while puppet.slot < end:
            while puppet.heard:
                call = puppet.heard.pop(0)
                answer = self._answer(call)
                if answer is not None:
                    context = call["context"]
                    buyer = context["bap_id"].partition(".")[0]
                    action = f"on_{context['action']}"
                    await puppet.say(
                        puppet.call(action, buyer, answer, context["transaction_id"], context["message_id"])
                    )
            await puppet.clock.sleep(0.05)

    def _answer(self, call: Json) -> Json | None:
        message, context = call["message"], call["context"]
        match context["action"]:
            case "search":
                slot = _slot(message["intent"]["fulfillment"])
                available = {"measure": {"value": "9.000", "unit": "kWh"}}
                return catalog(f"cheap-{slot}", CHEAP, available, fulfillment(slot))
            case "select":
                kwh = message["order"]["items"][0]["quantity"]["selected"]["measure"]["value"]
                price = f"{float(kwh) * float(CHEAP):.6f}"
                return {
                    "order": {
                        **message["order"],
                        "quote": {"price": {"currency": "EUR", "value": price}, "ttl": "PT20S"},
                    }
                }
            case "init":
                return agreed(message["order"], f"order-{context['message_id']}")
            case "confirm":
                slot = _slot(message["order"]["fulfillments"][0])
                self.confirmed.append((context["bap_id"], slot))
        return None


def _slot(fulfillment: Json) -> int:
    return slot_of(datetime.fromisoformat(fulfillment["stops"][0]["time"]["range"]["start"]).timestamp())


def honest_sales(street: Street) -> int:
    """Contracts in force or done between those who keep their word."""
    return len([row for row in street.contracts("buyer") if row.counterparty != PUPPET and row.state in HELD])


def test_honest_sales_go_on_beside_a_silent_seller_that_undercuts_everybody() -> None:
    async def quiet(puppet: Puppet) -> None:
        await puppet.clock.sleep(1)

    silent: list[Silent] = []

    async def attack(puppet: Puppet) -> None:
        silent.append(Silent(puppet))
        await silent[0].play(int(HOURS * 4) - 2)

    before = honest_sales(played(quiet, hours=HOURS))
    street = played(attack, hours=HOURS)
    after = honest_sales(street)
    assert before >= 10
    assert after >= 0.8 * before, f"{after} of {before}"
    hung = [row for row in street.contracts("buyer") if row.counterparty == PUPPET and row.in_doubt]
    # Each buyer is taken in once; it asks again and again, and buys nothing more there meanwhile.
    assert len(hung) == len({row.party for row in hung}) == len(silent[0].confirmed) > 0
    assert len(hung) <= MOST_DOUBTS
    # Their readings are billed all the same.
    flat = [row for book in street.books for row in book.readings if row.party == hung[0].party]
    assert [row.state for row in flat].count("booked") >= len(flat) - 4
    taken_in = {row.party for row in hung}
    shown = {row.party: [(one.partner, one.why) for one in row.distrusts] for row in status_of(street.books, str)}
    assert all(shown[party] == [(PUPPET, UNANSWERED)] for party in taken_in)
    told = [record.getMessage() for record in street.log]
    assert any("passes over puppet: what became of a contract with it is not known" in line for line in told)
