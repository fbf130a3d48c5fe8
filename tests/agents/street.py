"""A street whose post is carried by hand: in any order, late, twice, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from langgraph.runtime import Runtime

from tests.agents.support import (
    FIRST_SLOT,
    GATEWAY,
    TARIFF,
    HandClock,
    Node,
    Weather,
    battery,
    book_of,
    household,
    utility,
)
from wattmesh_agents.brain import graph
from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.parties.household import Household
from wattmesh_agents.store.messages import Outgoing
from wattmesh_agents.trade.contracts import DELIVERED, PROMISED, ContractState, Side
from wattmesh_beckn.client import Acked, Outcome, Undelivered, read_answer
from wattmesh_cli.audit import AuditResult, audit
from wattmesh_market.energy.availability import Promise, held_wh
from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.config import DemandResponse


class QuickBrain(Brain):
    """The brain's own nodes, walked without LangGraph, whose machinery takes ten times as long as they do."""

    def _run(self, state: graph.TradeState, scene: graph.Scene) -> None:
        runtime = Runtime(context=scene)
        node = graph.supervisor(state, runtime)
        while node != graph.HOLD:
            getattr(graph, node)(state, runtime)
            node = graph.go_on(state, runtime) if node in graph.CALLBACKS.values() else graph.HOLD


TRADING_SLOTS = 40
"""More than any example lives through."""


class Street:
    """Two roofs with full batteries, a home with a low one, a flat with none, and the grid."""

    def __init__(
        self,
        levels_wh: Sequence[int] = (9500, 9800, 1200),
        response: DemandResponse | None = None,
        *,
        tariff: Tariff = TARIFF,
        brain: type[Brain] = QuickBrain,
        **of_battery: int,
    ) -> None:
        self.clock = HandClock()
        self.brain = brain
        self.tariff = tariff
        self.end_s = FIRST_SLOT + 900.0 * TRADING_SLOTS
        first, second, low = (battery(level_wh, **of_battery) for level_wh in levels_wh)
        self.nodes = {
            node.id: node
            for node in (
                self.home("roof-0", first, 180_000, SlotProfile(900, 200)),
                self.home("roof-1", second, 220_000, SlotProfile(300, 250)),
                self.home("home-0", low, 200_000, SlotProfile(0, 400)),
                self.home("flat-0", None, 200_000, SlotProfile(0, 350)),
                Node(utility(response=response, tariff=tariff), self.clock, end_s=self.end_s, brain=brain),
            )
        }

    def home(self, name: str, of: Battery | None, price_micro: int, usual: SlotProfile) -> Node:
        config = household(name, of, price_micro=price_micro, tariff=self.tariff)
        return Node(config, self.clock, Weather(usual), end_s=self.end_s, brain=self.brain)

    def close(self) -> None:
        for node in self.nodes.values():
            node.database.close()

    # --- time ---

    @property
    def slot(self) -> int:
        return next(iter(self.nodes.values())).trader.current_slot

    def wall_at(self, grid_s: float) -> float:
        return next(iter(self.nodes.values())).trader.around.grid.wall_at(grid_s)

    def begin_slot(self, slots: int = 1, order: Sequence[str] | None = None) -> None:
        """Go to the start of a later slot and let the parties in `order` notice (default: all)."""
        self.clock.now = self.wall_at(self.slot + 900 * slots)
        for name in self.nodes if order is None else order:
            self.nodes[name].dispatcher.open_slot(self.nodes[name].party)

    def ring_due(self) -> int:
        """Let every alarm that is due go off; returns how many."""
        rung = 0
        for node in self.nodes.values():
            for timer in sorted(node.armed, key=lambda timer: (timer.due_ms, timer.kind, timer.subject)):
                if timer.due_ms <= node.trader.now_ms:
                    node.ring(timer)
                    rung += 1
        return rung

    # --- post ---

    @property
    def under_way(self) -> list[tuple[Node, Outgoing]]:
        return [(node, message) for node in self.nodes.values() for message in node.posted]

    def lose(self, node: Node, message: Outgoing) -> None:
        """The sender gives up; the message may have arrived or not."""
        self.answered(node, message, Undelivered("lost"))

    def answered(self, node: Node, message: Outgoing, outcome: Outcome) -> None:
        if message in node.posted:
            node.posted.remove(message)
            node.dispatcher.sent(node.party, message, outcome)

    def hand_over(self, message: Outgoing, missed: Sequence[str] = ()) -> Outcome:
        """Let the recipient (of a search: everybody but those who miss it) act on a message."""
        if message.expires_ms <= int(self.clock.now * 1000):
            return Undelivered("too late")
        if message.recipient != GATEWAY:
            reply = self.nodes[message.recipient].receive(message.body, message.action)
            return read_answer(reply)
        sellers = [node for name, node in self.nodes.items() if name != message.party]
        for node in sellers:
            if node.id not in missed:
                node.receive(message.body, message.action)
        return Acked({"recipients": str(len(sellers))})

    def deliver(self, node: Node, message: Outgoing, missed: Sequence[str] = ()) -> None:
        self.answered(node, message, self.hand_over(message, missed))

    def carry(self, chance: Random, *, faults: int) -> None:
        """Carry all that is under way once, in any order; `faults` of 10 messages meet with one."""
        bag = self.under_way
        chance.shuffle(bag)
        for node, message in bag:
            if message not in node.posted:  # its sender has died since
                continue
            fate = chance.choice(("lost", "ack lost", "twice", "late", "half")) if chance.randrange(10) < faults else ""
            if fate == "lost":
                self.lose(node, message)
            elif fate == "ack lost":
                self.hand_over(message)
            elif fate == "twice":
                self.hand_over(message)
                self.deliver(node, message)
            elif fate == "half":
                self.deliver(node, message, [name for name in self.nodes if chance.randrange(2)])
            elif fate == "":
                self.deliver(node, message)

    def settle_down(self) -> None:
        """Stop trading and let everything that is open find its end, with a post that works."""
        self.clock.now = max(self.clock.now, self.wall_at(self.end_s))
        calm = Random(0)
        for _ in range(5):
            self.begin_slot()
            for _ in range(30):
                self.carry(calm, faults=0)
                self.clock.now += 0.4
                self.ring_due()

    # --- what must hold ---

    def audit(self) -> AuditResult:
        return audit([book_of(node) for node in self.nodes.values()])

    def check_now(self) -> None:
        """At any moment: books agree as far as messages under way allow, and every promise can be kept."""
        assert self.audit().findings == ()
        for node in self.nodes.values():
            if isinstance(node.party, Household):
                self.check_promises(node, node.party)

    def check_promises(self, node: Node, home: Household) -> None:
        sales = node.trader.contracts.in_states(Side.SELLER, PROMISED)
        promises = [Promise(contract.slot, contract.energy_wh) for contract in sales]
        state = node.trader.meter.state()
        assert 0 <= state.level_wh <= home.battery.capacity_wh
        if promises:
            held = held_wh(home.battery, promises, state.next_slot)
            assert held <= state.level_wh - home.battery.min_level_wh
        for slot in {promise.slot for promise in promises}:
            assert sum(one.energy_wh for one in promises if one.slot == slot) <= home.battery.discharge_limit_wh

    def check_end(self) -> None:
        """In the end: nothing open or under way, everything sums to zero, and what was confirmed was delivered."""
        result = self.audit()
        assert result.findings == ()
        assert (result.contracts_in_flight, result.energy_sum_wh, result.amount_sum_micro) == (0, 0, 0)
        assert (result.energy_in_flight_wh, result.amount_in_flight_micro) == (0, 0)
        for node in self.nodes.values():
            assert node.party.settled(), node.id
            for contract in node.trader.contracts.in_states(Side.SELLER, DELIVERED):
                assert contract.delivered_wh == contract.energy_wh

    def settled(self, seller: str, buyer: str) -> int:
        """Energy that one party bought of another and paid."""
        contracts = self.nodes[seller].trader.contracts.in_states(Side.SELLER, (ContractState.SETTLED,))
        return sum(contract.delivered_wh or 0 for contract in contracts if contract.counterparty == buyer)
