"""A seller that undercuts everybody and keeps its word only as far as it likes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tests.street.puppet import Puppet
from tests.street.stages import fulfillment
from tests.world.calls import Json, agreed, catalog
from tests.world.street import SLOT_S
from wattmesh_market.energy.slots import slot_of

CHEAP = "0.000001"


class CheapSeller:
    """Plays the seller for a street: cheap offers, quotes and terms, and then not a word.

    `answers` are the actions that it answers. With `confirm` among them it confirms and never says that it delivers.
    """

    def __init__(self, puppet: Puppet, answers: Collection[str] = ("search", "select", "init")) -> None:
        self._puppet = puppet
        self._answers = answers
        self.confirmed: list[tuple[str, int]] = []
        """Buyer and slot of each confirmation."""

    async def play(self, slots: int) -> None:
        """Answer what is heard, until so many slots have passed."""
        puppet, published = self._puppet, 0
        end = puppet.slot + slots * SLOT_S
        while puppet.slot < end:
            if puppet.protocol == "v2" and published != puppet.next_slot:  # where there is no search to answer
                published = puppet.next_slot
                await puppet.publish(_offer(published))
            while puppet.heard:
                call = puppet.heard.pop(0)
                answer = self._answer(call)
                if answer is not None and call["context"]["action"] in self._answers:
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
                return _offer(_slot(message["intent"]["fulfillment"]))
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
                return {"order": {**message["order"], "state": "ACTIVE"}}
        return None


def _offer(slot: int) -> Json:
    available = {"measure": {"value": "9.000", "unit": "kWh"}}
    return catalog(f"cheap-{slot}", CHEAP, available, fulfillment(slot))


def _slot(fulfillment: Json) -> int:
    return slot_of(datetime.fromisoformat(fulfillment["stops"][0]["time"]["range"]["start"]).timestamp())
