"""One transaction, as those who took part tell it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.live.pages import FLAT, GATEWAY, ROOF, message, page, story
from wattmesh_gateway.live.trades import MOST_LINES, Trade

LOG = (
    message("search", FLAT, GATEWAY, 0),
    message("search", GATEWAY, ROOF, 5),
    message("search", GATEWAY, "battery-0.street", 5, "NACK"),
    message("on_search", ROOF, FLAT, 9),
    story(FLAT, "chosen: roof-0", 10),
    message("select", FLAT, ROOF, 10),
    message("on_select", ROOF, FLAT, 12),
    message("init", FLAT, ROOF, 13),
    message("on_init", ROOF, FLAT, 14),
    message("confirm", FLAT, ROOF, 15),
    message("on_confirm", ROOF, FLAT, 16, "NACK"),
)


def trade(*happenings: dict[str, object]) -> Trade:
    made = Trade("t", GATEWAY)
    for happening in page(happenings=list(happenings)).happenings:
        made.add(happening)
    return made


@given(st.permutations([*LOG, *LOG]))
def test_the_log_is_the_same_in_whatever_order_and_how_often_it_is_told(order: list[dict[str, object]]) -> None:
    assert trade(*order).log() == trade(*LOG).log()


def test_the_log_goes_by_time_and_of_one_moment_requests_come_first() -> None:
    log = trade(*LOG).log()
    assert [entry["action"] for entry in log if entry["kind"] == "message"] == [
        *("search", "search", "search", "on_search", "select", "on_select", "init", "on_init", "confirm", "on_confirm")
    ]
    at_once = trade(message("on_select", ROOF, FLAT, 5), message("select", FLAT, ROOF, 5))
    assert [entry["action"] for entry in at_once.log()] == ["select", "on_select"]
    passed_on = trade(message("search", GATEWAY, "a.street", 5), message("search", FLAT, GATEWAY, 5))
    assert [entry["sender"] for entry in passed_on.log()] == [FLAT, GATEWAY]


def test_a_message_that_both_sides_tell_of_is_one() -> None:
    """It was sent when the sender says, and taken if the receiver says so, whatever became of the answer."""
    made = trade(message("select", FLAT, ROOF, 10, "LOST"), message("select", FLAT, ROOF, 12, "ACK"))
    assert [(entry["at_ms"], entry["answer"]) for entry in made.log()] == [(10, "ACK")]


def test_the_summary_says_who_buys_and_how_far_it_is() -> None:
    summary = trade(*LOG).summary()
    assert summary["buyer"] == FLAT
    assert (summary["started_ms"], summary["last_ms"], summary["last_action"]) == (0, 16, "on_confirm")
    assert summary["refused"] == 1, "a seller that has nothing to sell refuses nothing"
    assert summary["story"] == "chosen: roof-0"


def test_the_gateway_is_not_taken_for_a_buyer() -> None:
    assert trade(message("search", GATEWAY, ROOF, 5)).summary()["buyer"] == ""
    assert trade(message("search", GATEWAY, ROOF, 5), message("on_search", ROOF, FLAT, 9)).summary()["buyer"] == FLAT


def test_a_trade_is_bounded_and_what_is_known_may_still_be_corrected() -> None:
    first = message("select", FLAT, ROOF, 0, "LOST")
    made = trade(first, *(story(FLAT, str(number), number) for number in range(MOST_LINES + 50)))
    assert len(made) == MOST_LINES
    [again] = page(happenings=[{**first, "answer": "ACK"}]).happenings
    assert made.add(again)
    assert json.dumps(made.log()).count('"ACK"') == 1
