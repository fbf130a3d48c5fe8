"""What a pod says of its households, as its `/status` page has it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, TypeAdapter


class Reading(BaseModel):
    """How a household or utility stands: energy in Wh, money in millionths. A utility's level is 0."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    level_wh: int
    sold_wh: int
    bought_wh: int
    balance_micro: int
    open_contracts: int


_PAGE = TypeAdapter(tuple[Reading, ...])


def read_page(page: bytes) -> dict[str, Reading]:
    """The readings of a pod by name. Raises ValueError if it is no status page."""
    return {reading.name: reading for reading in _PAGE.validate_json(page)}
