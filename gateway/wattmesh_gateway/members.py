"""Who is registered, for those who need no more than that. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A live subscriber, whatever its roles, and where it is reached."""

    subscriber_id: str
    url: str
    feeder: str
