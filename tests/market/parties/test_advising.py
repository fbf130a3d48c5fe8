"""A household whose offers are chosen by an adviser: within the limits, in time, or else by the rules."""

from __future__ import annotations

import pytest

from tests.world.market import Member, World
from tests.world.parties import NEXT, Weather, household
from wattmesh_market.parties.books import AlarmKind
from wattmesh_market.parties.selling import item_id
from wattmesh_market.trade.advice import Advice, Choice, Consultation, NoChoice, Part
from wattmesh_market.trade.messages import Offers, Select
from wattmesh_market.trade.offers import Offer

HOME, ANN, BOB = "home-0.default", "ann.default", "bob.default"
PRICES = {ANN: 100_000, BOB: 200_000}


class Asking(World):
    """A household that needs 1000 Wh, has two offers of 600 Wh, Ann's the cheaper one, and asks its adviser."""

    def __init__(self, strategy: str = "chat", *, adviser: bool = True, offers: int = 2) -> None:
        super().__init__(household("home-0", strategy=strategy), weather={HOME: Weather(0, 1000)}, adviser=adviser)
        self.act(self.me, lambda: self.me.events.look(NEXT, 0))
        (search,) = self.under_way
        self.under_way.clear()
        self.transaction = search.transaction_id
        for seller, price in list(PRICES.items())[:offers]:
            offer = Offer(seller, item_id(NEXT), price, 600)
            self.say(HOME, seller, Offers(((NEXT, offer),)), self.transaction)
        self.ring_kind(AlarmKind.OFFERS_IN)

    @property
    def me(self) -> Member:
        return self[HOME]

    def ring_kind(self, kind: AlarmKind) -> None:
        """Wait for the one alarm of a kind."""
        (alarm,) = [alarm for alarm in self.me.alarms if alarm.kind is kind]
        self.at(max(self.now.grid_s, self.me.alarms[alarm]))
        self.ring(self.me, alarm)

    @property
    def asked(self) -> Consultation:
        (asked,) = self.me.consultations
        return asked

    def answer(self, advice: Advice) -> None:
        self.act(self.me, lambda: self.me.events.advised_by(self.asked, advice))

    def selected(self) -> dict[str, int]:
        """How much is asked of whom."""
        messages = [letter.message for letter in self.under_way]
        return {one.provider: one.wanted[0].energy_wh for one in messages if isinstance(one, Select)}


BY_THE_RULES = {ANN: 600, BOB: 400}


def test_what_is_picked_is_selected_and_the_rest_is_bought_by_the_rules() -> None:
    world = Asking()
    assert world.selected() == {}
    assert world.asked.question.offers == tuple(
        Offer(name, item_id(NEXT), price, 600) for name, price in PRICES.items()
    )
    world.answer(Choice((Part(2, 600),)))
    assert world.selected() == {BOB: 600}
    assert world.me.party.advised_picks == {}


@pytest.mark.parametrize(
    "advice",
    [NoChoice("it failed"), Choice(()), Choice((Part(3, 100),)), Choice((Part(1, 601),)), Choice((Part(1, 600),) * 2)],
)
def test_without_a_choice_within_the_limits_the_rules_choose(advice: Advice) -> None:
    world = Asking()
    world.answer(advice)
    assert world.selected() == BY_THE_RULES


def test_it_has_a_third_of_the_time_to_the_gate_then_the_rules_choose() -> None:
    world = Asking()
    left_ms = world.grid.wall_ms(NEXT) - world.now.ms
    assert world.asked.due_ms == world.now.ms + left_ms // 3
    world.ring_kind(AlarmKind.ADVICE_LATE)
    assert world.selected() == BY_THE_RULES
    world.answer(Choice((Part(2, 600),)))
    assert world.selected() == BY_THE_RULES, "too late"


@pytest.mark.parametrize(("strategy", "adviser"), [("rules", True), ("chat", False)])
def test_nobody_is_asked_unless_there_is_an_adviser_and_the_strategy_wants_it(strategy: str, adviser: bool) -> None:
    world = Asking(strategy, adviser=adviser)
    assert world.me.consultations == []
    assert world.selected() == BY_THE_RULES


def test_where_there_is_nothing_to_choose_nobody_is_asked() -> None:
    world = Asking(offers=1)
    assert world.me.consultations == []
    assert world.selected() == {ANN: 600}
