from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import NOW
from wattmesh_common.logs import JsonFormatter, TextFormatter, configure

FORGED = "ok\n06:15 rooftop-9 forged\r\x1b[2Kline\u2028next\x85\x9b31m"


def record(
    message: str = "offers received: %d", *args: object, level: int = logging.INFO, **extra: Any
) -> logging.LogRecord:
    made = logging.LogRecord("wattmesh_agents.market", level, "market.py", 1, message, args or (3,), None)
    made.created = NOW
    vars(made).update(extra)
    return made


def test_a_line_for_a_person() -> None:
    line = TextFormatter().format(
        record(grid="06:15", household="rooftop-0", transaction="3fa2c1d0-0000-4000-8000-000000000000")
    )
    assert line == "06:15 rooftop-0 [3fa2c1d0] offers received: 3"


def test_a_line_about_nobody_names_the_wall_time_and_the_logger() -> None:
    assert TextFormatter().format(record()) == "2026-05-28T20:26:40.000Z agents.market offers received: 3"


@pytest.mark.parametrize(("level", "word"), [(logging.WARNING, "WARNING"), (logging.ERROR, "ERROR")])
def test_a_line_of_trouble_says_its_level(level: int, word: str) -> None:
    line = TextFormatter().format(record(level=level, grid="06:15", household="rooftop-0"))
    assert line == f"06:15 rooftop-0 {word} offers received: 3"


def test_a_line_for_a_machine() -> None:
    line = JsonFormatter().format(record("delivered ✅ %s", "größer", grid="06:15", household="rooftop-0"))
    assert json.loads(line) == {
        "time": "2026-05-28T20:26:40.000Z",
        "level": "info",
        "logger": "wattmesh_agents.market",
        "message": "delivered ✅ größer",
        "grid": "06:15",
        "household": "rooftop-0",
    }
    assert "✅ größer" in line


def test_an_exception_is_one_line_of_text_and_all_of_it_in_json() -> None:
    try:
        raise ValueError("no\nsuch slot")
    except ValueError as error:
        failed = record("failed%s", "")
        failed.exc_info = (type(error), error, error.__traceback__)
    text = TextFormatter().format(failed)
    assert "\n" not in text
    assert text.endswith(r"ValueError: no\nsuch slot")
    assert json.loads(JsonFormatter().format(failed))["message"].endswith("\nValueError: no\nsuch slot")


def test_a_message_cannot_forge_a_line_of_text() -> None:
    line = TextFormatter().format(record("refused %s", FORGED, grid="06:15", household="rooftop-0"))
    assert line == (r"06:15 rooftop-0 refused ok\n06:15 rooftop-9 forged\r\x1b[2Kline\u2028next\x85\x9b31m")


@pytest.mark.parametrize("field", ["grid", "household", "transaction"])
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_nor_can_a_name(field: str, formatter: logging.Formatter) -> None:
    named = record()
    setattr(named, field, "a\nb\x1b\u2028")
    line = formatter.format(named)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_json_says_the_forged_text_as_it_was() -> None:
    line = JsonFormatter().format(record("%s", FORGED))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == FORGED


@given(st.text(st.characters(exclude_categories=[])))
def test_every_line_is_one_line_without_control_characters_whatever_is_logged(text: str) -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record("%s", text, household=text, transaction=text))
        assert not [char for char in line if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        assert line.encode()
    assert json.loads(line)["message"] == text


@pytest.fixture
def logging_left_alone() -> Iterator[None]:
    root = logging.getLogger()
    names = [f"wattmesh_{package}" for package in ("agents", "gateway", "operator", "cli", "beckn")]
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("root", *names)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("logging_left_alone")
def test_configured_logging_writes_our_packages_and_only_the_troubles_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    stream = io.StringIO()
    configure(stream)
    logging.getLogger("wattmesh_gateway").info("up", extra={"grid": "06:15"})
    logging.getLogger("wattmesh_gateway").debug("detail")
    logging.getLogger("aiohttp").info("chatter")
    logging.getLogger("aiohttp").warning("trouble", extra={"grid": "06:15"})
    assert stream.getvalue() == "06:15 gateway up\n06:15 aiohttp WARNING trouble\n"


@pytest.mark.usefixtures("logging_left_alone")
def test_log_format_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    stream = io.StringIO()
    configure(stream, logging.DEBUG)
    logging.getLogger("wattmesh_gateway").debug("detail")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["detail"]
