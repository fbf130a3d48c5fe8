"""Durations as people type them: `90m`, `16h`, `1d`, `1h30m`."""

from __future__ import annotations

import re

_UNITS_S = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def duration_s(text: str) -> int:
    """Seconds in a duration; ValueError says what forms there are."""
    match = _FORM.fullmatch(text.strip())
    seconds = sum(int(n or 0) * unit for n, unit in zip(match.groups(), _UNITS_S.values(), strict=True)) if match else 0
    if seconds <= 0:
        raise ValueError(f"invalid duration {text!r}: use 90m, 16h or 1d")
    return seconds


def duration_text(seconds: int) -> str:
    """A duration in its two largest units: `5d 3h`, `1h 15m`."""
    parts: list[str] = []
    for name, unit_s in _UNITS_S.items():
        number, seconds = divmod(seconds, unit_s)
        if number or parts:
            parts.append(f"{number}{name}" if number else "")
    return " ".join(part for part in parts[:2] if part) or "0s"
