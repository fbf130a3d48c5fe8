"""Models of pydantic that a process keeps by the thousand."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def slim(model: M, **shared: Any) -> M:
    """An equal model that takes less memory: it shares the set of its fields' names with all others of its type.

    A set of its own takes 0.7 kB for 13 fields, 2.2 kB for 20. `shared` are fields to hold in place of the model's own:
    equal values that others hold, too.
    """
    return type(model).model_construct(_names(type(model)), **{**model.__dict__, **shared})


@cache
def _names(kind: type[BaseModel]) -> set[str]:
    return set(kind.model_fields)
