"""Bad input to a household or utility: the exact answer, nothing changed, and the good message still works."""

from __future__ import annotations

import copy
import json
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.beckn.support import changed
from tests.street.form_cases import FORM, SIGNATURES
from tests.street.puppet import Puppet, findings, puppet_play
from tests.street.spoiling import Case
from tests.street.stages import QUIET_S, STAGES
from tests.street.trade_cases import BUYER, READINGS, SELLER
from tests.world.calls import Json, recipient
from tests.world.street import Street, ledger_bytes
from wattmesh_beckn.signature import digest
from wattmesh_beckn.transport import Reply
from wattmesh_cli.audit import Finding
from wattmesh_common.clock import rfc3339

CASES = [*FORM, *SIGNATURES, *SELLER, *READINGS, *BUYER]
ONLY_BAD = {
    "late_confirm",
    "late_cancel",
    "early_pay",
    "early_on_status",
    "too_late_on_cancel",
    "reading",
    "reading_at_roof",
}
"""Stages whose unspoilt message is wrong there, or has no other side to book it (see test_a_reading_is_booked_once)."""


@dataclass(frozen=True)
class Outcome:
    reply: Reply
    words: dict[str, str]
    unchanged: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Played:
    outcomes: dict[str, Outcome]
    good: Reply | None
    street: Street


def spoilt(puppet: Puppet, case: Case, good: Json) -> Json:
    """The good message with the case's changes, as a new message unless those say otherwise."""
    call = changed(good, "context.message_id", str(uuid.uuid4()))
    for path, value in case.change.items():
        if callable(value):
            place: Any = call
            for part in path.split("."):
                place = place[int(part)] if part.isdigit() else place.get(part)
            value = value(puppet, copy.deepcopy(place))
        call = changed(call, path, value)
    return call


@cache
def played(stage: str) -> Played:
    """Go to a stage, try all that is bad there, then the good message."""
    outcomes: dict[str, Outcome] = {}
    answers: list[Reply] = []

    async def work(puppet: Puppet) -> None:
        good = await STAGES[stage](puppet)
        await puppet.clock.sleep(QUIET_S)
        action, to = good["context"]["action"], "roof-0" if stage == "search" else recipient(good)
        for case in (case for case in CASES if case.stage == stage):
            body = case.raw if case.raw is not None else json.dumps(spoilt(puppet, case, good)).encode()
            headers = case.headers(puppet, body) if case.headers else puppet.signed(body)
            before = ledger_bytes(puppet.run)
            url = f"http://{to}/{case.household or to}/{case.action or action}"
            reply = await puppet.sites.post(url, body, headers, timeout_s=5.0)
            now = puppet.clock.wall()
            words = {
                "digest": digest(body),
                "now": rfc3339(now),
                "minus30": rfc3339(now - 30),
                "plus60": rfc3339(now + 60),
                "second60": rfc3339(int(now) + 60),
                "minus10": rfc3339(int(now) - 10),
            }
            after = ledger_bytes(puppet.run)
            outcomes[case.what] = Outcome(reply, words, before == after, puppet.findings())
        if stage not in ONLY_BAD:
            body = json.dumps(good).encode()
            answers.append(await puppet.send(to, action, body, puppet.signed(body)))

    street = puppet_play(work)
    return Played(outcomes, answers[0] if answers else None, street)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_bad_is_refused_with_the_reason_and_changes_nothing(case: Case) -> None:
    outcome = played(case.stage).outcomes[case.what]
    answer = json.loads(outcome.reply.body)
    error = answer["error"]
    assert answer["message"] == {"ack": {"status": "NACK"}}
    status, code, text, path = case.answer
    got = (outcome.reply.status, error["code"], error["message"], error.get("paths"))
    assert got == (status, code, text.format(**outcome.words), path)
    assert outcome.unchanged
    assert outcome.findings == ()


@pytest.mark.parametrize("stage", STAGES)
def test_the_street_goes_on_as_if_nothing_had_been(stage: str) -> None:
    result = played(stage)
    if result.good is not None:
        assert json.loads(result.good.body) == {"message": {"ack": {"status": "ACK"}}}
    assert findings(result.street.books) == ()
    assert not any(result.street.faults.values())
    assert [record.getMessage() for record in result.street.log if record.exc_info] == []
    assert [row for row in result.street.contracts("buyer", "flat-0") if row.state == "SETTLED"]
