"""Types of fields that models of several packages share."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from wattmesh_market.ids import NAME, NAME_LENGTH, SUBSCRIBER_ID, SUBSCRIBER_ID_LENGTH

Name = Annotated[str, Field(pattern=NAME, max_length=NAME_LENGTH)]
SubscriberId = Annotated[str, Field(pattern=SUBSCRIBER_ID, max_length=SUBSCRIBER_ID_LENGTH)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]

ProtocolVersion = Literal["v1", "v2"]
"""Versions of Beckn: core 1.1, and 2.0.0 LTS."""
V1_ONLY: Final[tuple[ProtocolVersion, ...]] = ("v1",)
"""What a subscriber speaks that says nothing of it."""


def _each_once(value: tuple[ProtocolVersion, ...]) -> tuple[ProtocolVersion, ...]:
    if len(set(value)) < len(value):
        raise ValueError("must name each version once")
    return tuple(sorted(value))


Protocols = Annotated[tuple[ProtocolVersion, ...], Field(min_length=1, max_length=2), AfterValidator(_each_once)]
_PROTOCOLS: Final[TypeAdapter[tuple[ProtocolVersion, ...]]] = TypeAdapter(Protocols)


@lru_cache(maxsize=8)
def protocols_in(text: str) -> tuple[ProtocolVersion, ...]:
    """The versions of Beckn that databases write with commas between; ValidationError where it is none."""
    return _PROTOCOLS.validate_python(text.split(","))
