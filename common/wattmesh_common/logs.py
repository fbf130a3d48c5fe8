"""Log lines: for a person, or one JSON object a line with `LOG_FORMAT=json`.

A record's `grid`, `household` and `transaction` (set by `extra=`) stand before its message, so the lines of one trade
can be followed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO

from wattmesh_common.clock import rfc3339

FIELDS = ("grid", "household", "transaction")
LONGEST_MESSAGE = 2_000
LONGEST_TRACE = 20_000
_LONGEST_FIELD = 100


class TextFormatter(logging.Formatter):
    """`06:15 rooftop-0 [3fa2c1d0] offers received: …`, with control characters escaped, so no name can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of text."""
        grid, household, transaction = (_field(record, field) for field in FIELDS)
        start = [grid or rfc3339(record.created), household or record.name.removeprefix("wattmesh_")]
        if transaction:
            start.append(f"[{transaction[:8]}]")
        if record.levelno >= logging.WARNING:
            start.append(record.levelname)
        return _one_line(" ".join((*start, _message(self, record))))


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, logger, message, and grid, household and transaction where they are known."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        entry = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(self, record),
            **{field: value for field in FIELDS if (value := _field(record, field))},
        }
        text = json.dumps(entry, ensure_ascii=False)
        return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


class _Handler(logging.StreamHandler[IO[str]]):
    """Ends the process as a signal would, once, when whoever read its lines has gone (`wattmesh up | head`)."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """See logging.Handler; called while the error is being handled."""
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handleError(record)
            return
        self.stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - setStream would flush the old one
        signal.raise_signal(signal.SIGTERM)


def configure(stream: IO[str] | None = None, level: int = logging.INFO) -> None:
    """Send the log of all wattmesh packages to `stream` (standard output by default)."""
    handler = _Handler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter() if os.environ.get("LOG_FORMAT") == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("agents", "gateway", "operator", "cli", "beckn"):
        logging.getLogger(f"wattmesh_{package}").setLevel(level)


def _message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    message = _shortened(record.getMessage(), LONGEST_MESSAGE)
    if not record.exc_info:
        return message
    return f"{message}\n{_shortened(formatter.formatException(record.exc_info), LONGEST_TRACE)}"


def _field(record: logging.LogRecord, name: str) -> str | None:
    value: str | None = getattr(record, name, None)
    return value and value[:_LONGEST_FIELD]


def _shortened(text: str, longest: int) -> str:
    """The beginning and the end of a text, which of a trace is the error itself."""
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]} … {len(text) - longest} characters … {text[-longest // 2 :]}"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
