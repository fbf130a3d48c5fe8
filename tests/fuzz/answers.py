"""What any answer of a gateway or pod must be."""

from __future__ import annotations

import json
from typing import Any

import requests
from pydantic import TypeAdapter, ValidationError

from wattmesh_beckn.errors import ErrorCode
from wattmesh_beckn.evidence import EvidenceAnswer
from wattmesh_beckn.registry import LookupPage, Subscription, SubscriptionStatus
from wattmesh_common.forget import ForgetAnswer

CODES = {str(code) for code in ErrorCode}
REFUSALS = {200, 400, 401, 403, 404, 409, 410, 413, 503}
"""Statuses of a NACK. Of 5xx only 503 is there, with the time after which to come again."""


def problem_of(path: str, answer: requests.Response) -> str | None:
    """What is wrong with the answer to a POST; None when nothing is."""
    if answer.headers.get("content-type") != "application/json":
        return f"HTTP {answer.status_code} with content-type {answer.headers.get('content-type')!r}"
    try:
        value = json.loads(answer.content)
    except ValueError as error:
        return f"HTTP {answer.status_code} with a body that is no JSON: {error}"
    if not _is_nack(answer, value) and not (answer.status_code == 200 and _is_good(path, value)):
        return f"HTTP {answer.status_code} is none of the documented answers: {answer.text[:300]}"
    if answer.status_code == 503 and not answer.headers.get("retry-after", "").isdigit():
        return "HTTP 503 without Retry-After"
    challenges = {"www-authenticate", "proxy-authenticate"}
    if answer.status_code == 401 and not challenges & {name.lower() for name in answer.headers}:
        return "HTTP 401 without a challenge"
    return None


def _is_nack(answer: requests.Response, value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"message", "error"}:
        return False
    error = value["error"]
    return (
        answer.status_code in REFUSALS
        and value["message"] == {"ack": {"status": "NACK"}}
        and {"code", "message"} <= error.keys() <= {"code", "message", "paths"}
        and error["code"] in CODES
        and all(isinstance(text, str) and text for text in error.values())
    )


def _is_good(path: str, value: Any) -> bool:
    match path.rpartition("/")[2]:
        case "lookup":
            return _is_found(value)
        case "subscribe":
            return value in [{"status": str(status)} for status in SubscriptionStatus]
        case "drain":
            known = value.keys() == {"draining", "open_contracts", "unpriced_readings", "closed"}
            return bool(known and value["open_contracts"] >= 0 and value["closed"] in (True, False))
        case "evidence":
            return _is(EvidenceAnswer, value)
        case "forget":
            return _is(ForgetAnswer, value)
        case "search" if isinstance(value["message"]["ack"].get("tags"), list):
            return bool(value["message"]["ack"]["status"] == "ACK")
    return bool(value == {"message": {"ack": {"status": "ACK"}}})


def _is_found(value: Any) -> bool:
    """Whether it is a list of subscriptions, or a page of them."""
    return _is(LookupPage if isinstance(value, dict) else list[Subscription], value)


def _is(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True
