"""What became of one search at one seller."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a (search, seller) pair."""

    ACKED = "acked"
    """The seller will answer the buyer."""
    NACKED = "nacked"
    """The seller has nothing to sell, or refused the search of this buyer."""
    TIMEOUT = "timeout"
    """No answer in time."""
    REFUSED = "refused"
    """No connection, twice, or HTTP 5xx."""
    DROPPED = "dropped"
    """Never sent: too many searches wait for this seller, or the search expired while it waited."""
    RESTING = "resting"
    """Never sent: the seller failed lately."""
