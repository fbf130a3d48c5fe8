"""Streets in which a chat model chooses among the offers: within the limits it has its way, else the rules decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from tests.chat import FakeChatModel, picking
from tests.street.meters import profile_csv
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, Street, play, short
from wattmesh_agents.chat import ChatAdviser
from wattmesh_cli.street.run import StreetRun

STORE = "battery: {capacityKwh: 20, initialKwh: 20, powerKw: 2}, trading: {sellAbovePercent: 50, sellPrice: %s}"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a home that uses 1.25 kWh in each slot."""
    file = tmp_path_factory.mktemp("home") / "day.csv"
    file.write_text(profile_csv(((0, 1250),)), encoding="utf-8")
    return file


def street(day: Path, strategy: str = "chat") -> str:
    """Two stores with 0.5 kWh for each slot, a utility above the price limit, and a home that needs 1.25 kWh a slot."""
    buyer = f"profile: {{csv: {day}}}, trading: {{maxBuyPrice: 0.24}}, strategy: {strategy}"
    stores = households("cheap", STORE % "0.10") + households("dear", STORE % "0.20")
    return MARKET + utility(price="0.25") + stores + households("home", buyer)


def bought(played: Street) -> list[dict[str, int]]:
    """What the home bought for each slot, in Wh by seller."""
    by_slot: dict[int, dict[str, int]] = {}
    for row in played.contracts("buyer", "home-0"):
        by_slot.setdefault(row.slot, {})[short(row.counterparty)] = row.energy_wh
    return list(by_slot.values())


def told(played: Street, start: str) -> list[str]:
    return [line for line in played.told("home-0") if line.startswith(start)]


RULES = {"cheap-0": 500, "dear-0": 500}


def test_what_the_model_picks_is_bought(day: Path) -> None:
    model = FakeChatModel(answer=lambda _: picking((2, 400), (1, 300)), thinks_s=1.0)
    played = play(planned(street(day)), 0.75, adviser=ChatAdviser(model))
    played.check_sound()
    played.check_settled()
    assert bought(played) == 2 * [{"dear-0": 400, "cheap-0": 300}]
    assert told(played, "asks the chat model")[0] == "asks the chat model: 2 offers"
    assert told(played, "chosen")[0] == (
        "chosen: 0.400 kWh from dear-0 at 0.200000, 0.300 kWh from cheap-0 at 0.100000 (the chat model's choice)"
    )
    assert len(model.heard) == 2, "once for each purchase"


def test_what_it_leaves_is_bought_by_the_rules(day: Path) -> None:
    model = FakeChatModel(answer=lambda _: picking((2, 500)))
    played = play(planned(street(day)), 0.75, adviser=ChatAdviser(model))
    played.check_sound()
    assert bought(played) == 2 * [RULES]
    assert [line.rpartition("(")[2] for line in told(played, "chosen")[:2]] == [
        "the chat model's choice)",
        "the cheapest offer left)",
    ]


REFUSED = "the rules choose, not the chat model: "


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AIMessage("The first one."), "its answer has not the form that was asked for"),
        (picking((3, 500)), "its answer is refused: there is no offer 3; there are 1 to 2"),
        (picking((1, 501)), "its answer is refused: 501 Wh of offer 1; from 10 to 500 Wh can be taken"),
        (TimeoutError("sk-secret"), "it failed with TimeoutError"),
    ],
)
def test_any_other_answer_and_the_rules_choose(day: Path, answer: BaseMessage | Exception, reason: str) -> None:
    played = play(planned(street(day)), 0.5, adviser=ChatAdviser(FakeChatModel(answer=lambda _: answer)))
    played.check_sound()
    played.check_settled()
    assert bought(played) == [RULES]
    assert told(played, REFUSED) == [f"{REFUSED}{reason}"]
    assert "sk-secret" not in "".join(record.getMessage() for record in played.log)


def test_a_model_that_thinks_too_long_holds_nothing_up(day: Path) -> None:
    played = play(planned(street(day)), 0.75, adviser=ChatAdviser(FakeChatModel(answer=_nothing, thinks_s=3600)))
    played.check_sound()
    played.check_settled()
    assert bought(played) == 2 * [RULES]
    assert told(played, REFUSED) == 2 * [f"{REFUSED}no answer in time"]


def _nothing(text: str) -> BaseMessage:
    raise AssertionError(f"nobody waits for it: {text}")


def test_only_those_who_want_one_have_a_model_asked(day: Path) -> None:
    asked = ChatAdviser(FakeChatModel(answer=_nothing))
    by_plan = play(planned(street(day, "plan")), 0.5, adviser=asked)
    without_model = play(planned(street(day, "chat")), 0.5)
    assert bought(by_plan) == bought(without_model) == [RULES]
    assert by_plan.as_bytes() == without_model.as_bytes()


def test_it_is_asked_about_the_offers_of_the_slot(day: Path) -> None:
    heard: list[dict[str, object]] = []

    def cheapest(text: str) -> BaseMessage:
        heard.append(json.loads(text))
        return picking((1, 500), (2, 500))

    played = play(planned(street(day)), 0.5, adviser=ChatAdviser(FakeChatModel(answer=cheapest)))
    assert bought(played) == [RULES]
    assert heard == [
        {
            "slot": "06:15-06:30",
            "currency": "EUR",
            "need_wh": 1250,
            "wants": [{"worth_per_kwh": "0.240000", "energy_wh": 1250}],
            "offers": [
                {"offer": 1, "price_per_kwh": "0.100000", "available_wh": 500},
                {"offer": 2, "price_per_kwh": "0.200000", "available_wh": 500},
            ],
        }
    ]


def killed(day: Path, folder: Path, *, down_s: float, model_again: bool) -> tuple[Street, FakeChatModel]:
    """An hour in which the home dies while the model thinks about its first purchase."""
    model = FakeChatModel(answer=_nothing, thinks_s=3600)
    adviser = ChatAdviser(model)
    plan = planned(street(day))
    hands = Hands(plan, 1, folder, adviser=adviser if model_again else None)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        while not model.heard:
            await hands.clock.sleep(0.1)
        await hands.kill("home-0")
        await hands.clock.sleep(down_s)
        hands.revive("home-0")

    played = play(plan, 0.75, wrap=hands, watch=watch, adviser=adviser)
    played.check_sound()
    played.check_settled()
    return played, model


def test_a_question_that_dies_with_its_pod_ends_by_the_clock(day: Path, tmp_path: Path) -> None:
    played, model = killed(day, tmp_path, down_s=0.0, model_again=True)
    assert bought(played) == 2 * [RULES]
    assert told(played, REFUSED) == 2 * [f"{REFUSED}no answer in time"]
    assert len(model.heard) == 3, "the purchase that died with the pod is made at the second look, and asks anew"


def test_a_pod_that_comes_back_without_a_model_buys_by_the_rules(day: Path, tmp_path: Path) -> None:
    played, model = killed(day, tmp_path, down_s=0.0, model_again=False)
    assert bought(played) == 2 * [RULES]
    assert (told(played, REFUSED), len(model.heard)) == ([], 1)


def test_a_pod_that_comes_back_after_the_gate_goes_on_with_the_next_slot(day: Path, tmp_path: Path) -> None:
    played, _ = killed(day, tmp_path, down_s=20.0, model_again=True)
    assert bought(played) == [RULES]
