"""What a pod remembers for who looks on."""

from __future__ import annotations

from typing import Any

from wattmesh_agents.happenings import LONGEST_TEXT, Happenings, Message, StoryLine
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.client import Acked, Nacked, Outcome, Undelivered
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.transport import Reply
from wattmesh_common.pod_pages import LiveMessage


def line(text: str, *values: Any) -> StoryLine:
    return StoryLine(1.5, "t", "roof", text, values)


def message(answer: Outcome | Reply) -> LiveMessage:
    return Message(1.5, "t", "m", "select", "flat", "roof", answer).shown()


def test_only_the_newest_are_remembered_and_numbers_go_on() -> None:
    happenings = Happenings(most=3)
    for number in range(1, 6):
        happenings.add(line(str(number)))
    assert happenings.newest == 5

    def after(number: int, most: int = 10) -> list[str]:
        return [one.shown().text for one in happenings.after(number, most)]

    assert after(0) == ["3", "4", "5"]
    assert after(4) == ["5"]
    assert after(5) == after(9) == []
    assert after(0, most=2) == ["4", "5"], "who is behind is told the newest"


def test_each_start_has_a_name_of_its_own() -> None:
    assert Happenings().boot != Happenings().boot


def test_a_message_says_how_it_was_answered_by_whoever_tells() -> None:
    refusal = declined(ErrorCode.BUSINESS_ERROR, "nothing left")
    answers: list[Outcome | Reply] = [
        ack(),
        nack(refusal),
        Acked({}),
        Nacked(200, "40000", "nothing left"),
        Undelivered("no answer"),
    ]
    assert [(message(answer).answer, message(answer).text) for answer in answers] == [
        ("ACK", ""),
        ("NACK", "nothing left"),
        ("ACK", ""),
        ("NACK", "nothing left"),
        ("LOST", "no answer"),
    ]


def test_long_texts_are_cut() -> None:
    assert len(message(Undelivered("x" * 1000)).text) == LONGEST_TEXT
    assert len(line("%s", "x" * 1000).shown().text) == LONGEST_TEXT


def test_a_line_without_values_may_hold_a_percent_sign() -> None:
    assert line("100 %").shown().text == "100 %"
    assert line("%d %%", 20).shown().text == "20 %"
