"""What is taken where a message does not say it, in every version of Beckn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

QUOTE_TTL = timedelta(seconds=30)
"""How long a quote holds that does not say it."""
NO_REASON = "no reason given"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def unix_ms(at: datetime) -> int:
    """A time in unix milliseconds."""
    # In whole ones from the start: as a float of unix seconds many a time is a fraction less.
    return (at - _EPOCH) // _MILLISECOND
