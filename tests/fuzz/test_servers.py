"""Servers get calls that schemathesis makes up: see `campaign.py`. `make fuzz` sends many more of them."""

from __future__ import annotations

import pytest
import requests

from tests.fuzz.answers import problem_of
from tests.fuzz.campaign import Report, fuzz

CASES = 250


@pytest.fixture(scope="module")
def report() -> Report:
    return fuzz(CASES, 1)


def test_every_answer_is_a_documented_one_and_the_books_stay_right(report: Report) -> None:
    assert report.problems == []
    assert report.cases >= CASES


REGISTRARS = ("POST lookup", "POST subscribe", "POST drain", "POST decide", "POST correct", "POST forget")
"""What needs no subscriber's signature."""


def test_a_subscribers_calls_get_past_the_signature_and_a_strangers_do_not(report: Report) -> None:
    messages = {
        (operation, campaign): row.statuses
        for (operation, campaign), row in report.rows.items()
        if operation.startswith("POST ") and operation not in REGISTRARS
    }
    assert {status for (_, campaign), row in messages.items() if campaign == "random" for status in row} <= {
        400,
        401,
        404,
    }
    signed = [row for (_, campaign), row in messages.items() if campaign == "signed"]
    assert sum(row[200] for row in signed) > 0
    assert sum(row[401] for row in signed) == 0


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (500, b"Internal Server Error", {"content-type": "text/plain"}),
        (500, b'{"message": {"ack": {"status": "NACK"}}, "error": {"code": "30000", "message": "x"}}', {}),
        (503, b'{"message": {"ack": {"status": "NACK"}}, "error": {"code": "40000", "message": "x"}}', {}),
        (401, b'{"message": {"ack": {"status": "NACK"}}, "error": {"code": "30000", "message": "x"}}', {}),
        (400, b'{"message": {"ack": {"status": "NACK"}}, "error": {"code": "1", "message": "x"}}', {}),
        (400, b'{"message": {"ack": {"status": "ACK"}}}', {}),
        (200, b'{"detail": "Not Found"}', {}),
        (200, b"[]", {}),
        (200, b"", {}),
    ],
)
def test_other_answers_are_told(status: int, body: bytes, headers: dict[str, str]) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer._content = body
    answer.headers.update({"content-type": "application/json", **headers})
    assert problem_of("http://roof-0/roof-0/select", answer) is not None
