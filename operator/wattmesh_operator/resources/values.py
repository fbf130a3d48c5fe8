"""Text, whole numbers and times as fields of a resource, each able to say what it allows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import Annotated, Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from wattmesh_common.fields import ProtocolVersion
from wattmesh_market.energy.tariff import DAYS, MONTHS
from wattmesh_market.plugins import Catalog
from wattmesh_market.plugins.naming import is_given_name


def shown(value: object) -> str:
    """`value` as a manifest would write it, at most 60 characters, on one line."""
    match value:
        case None | bool():
            return json.dumps(value)
        case int() | float() | Decimal():
            text = str(value)
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case datetime() | time():
            text = value.isoformat()
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def not_allowed(allowed: str, value: object) -> PydanticCustomError:
    """The error of a field whose `value` is not what is `allowed`."""
    return rule_broken(f"must be {allowed}, not {shown(value)}")


def rule_broken(what: str, *, of_parent: bool = False) -> PydanticCustomError:
    """The error of a field, or (`of_parent`) of the mapping that holds it, with the words for a person."""
    # The words go in as context: a template would read braces in them as placeholders.
    return PydanticCustomError("rule_of_parent" if of_parent else "rule", "{what}", {"what": what})


UNTYPED: Mapping[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
"""The schema of what may be a word or something else: a structural schema has one type or says nothing at all."""


class Constraint:
    """Annotation of a field: what may be written there, what it becomes in Python, and its schema for Kubernetes."""

    allowed: str
    """What may be written, in words that follow "must be"."""

    def _read(self, value: object) -> Any:
        """The Python value of what was written. Raises PydanticCustomError, see `not_allowed`."""
        raise NotImplementedError

    def _write(self, value: Any) -> Any:
        """The JSON value of the Python value."""
        return value

    def _schema(self) -> dict[str, Any]:
        """The JSON schema, as far as Kubernetes knows it."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self._write, when_used="json")
        return core_schema.no_info_plain_validator_function(self._read, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self._schema()


@dataclass(frozen=True)
class Text(Constraint):
    """Text that matches a regular expression, one that Python and RE2 (Kubernetes) read alike."""

    pattern: str
    allowed: str
    max_length: int

    def _read(self, value: object) -> str:
        if isinstance(value, str) and len(value) <= self.max_length and re.fullmatch(self.pattern, value):
            return value
        quotes = " (put it in quotes)" if isinstance(value, bool | int | float | Decimal) else ""
        raise not_allowed(self.allowed + quotes, value)

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}


@dataclass(frozen=True)
class Whole(Constraint):
    """An integer with inclusive bounds."""

    minimum: int
    maximum: int
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", f"a whole number from {self.minimum} to {self.maximum}")

    def _read(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            raise not_allowed(self.allowed, value)
        return value

    def _schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class OneOf(Constraint):
    """One of some names; `description` is for an entry of a list, which has no field of its own to say it."""

    names: tuple[str, ...]
    description: str = ""
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", f"{', '.join(self.names[:-1])} or {self.names[-1]}")

    def _read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise not_allowed(self.allowed, value)
        return value

    def _schema(self) -> dict[str, Any]:
        schema = {"type": "string", "enum": list(self.names)}
        return {**schema, "description": self.description} if self.description else schema


@dataclass(frozen=True)
class SomeOf(Constraint):
    """A list of some names, at least one and each once; in Python a tuple in the order of `names`.

    `description` is of an entry, see `OneOf`.
    """

    names: tuple[str, ...]
    description: str
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", f"a list of {' and '.join(self.names)}, at least one of them, each once")

    def _read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise not_allowed(self.allowed, value)
        for index, name in enumerate(value):
            if name not in self.names or name in value[:index]:
                raise rule_broken(f"must be {self.allowed}; entry {index + 1} is {shown(name)}")
        if not value:
            raise rule_broken(f"must be {self.allowed}; it is empty")
        return tuple(name for name in self.names if name in value)

    def _write(self, value: tuple[str, ...]) -> list[str]:
        return list(value)

    def _schema(self) -> dict[str, Any]:
        items = {"type": "string", "enum": list(self.names), "description": self.description}
        # A set: an API server refuses an entry that is there twice.
        counts = {"minItems": 1, "maxItems": len(self.names)}
        return {"type": "array", **counts, "items": items, "x-kubernetes-list-type": "set"}


_PLAIN = (bool, int, float, Decimal, datetime, time, Mapping, list, tuple, type(None))
"""What YAML makes of text, and so is no plug-in."""


@dataclass(frozen=True)
class PluginName(Constraint):
    """The name of something built in or of a plug-in; in Python also the plug-in itself, which becomes its name.

    Whether a plug-in of that name is installed is not checked: it need not be where a resource is read, but where its
    households run.
    """

    catalog: Catalog[Any]
    allowed: str = field(init=False)
    pattern = "^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$"
    max_length = 63

    def __post_init__(self) -> None:
        built_in = ", ".join(self.catalog.built_in)
        plugin = f"the name of a {self.catalog.kind} that is a plug-in"
        object.__setattr__(self, "allowed", f"{built_in} or {plugin}" if built_in else plugin)

    def _read(self, value: object) -> str:
        if isinstance(value, str):
            if is_given_name(value) or (len(value) <= self.max_length and re.fullmatch(self.pattern, value)):
                return value
            raise not_allowed(self.allowed, value)
        if isinstance(value, _PLAIN):
            raise not_allowed(self.allowed, value)
        try:
            return self.catalog.give(value)
        except ValueError as error:
            raise rule_broken(str(error)) from None

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}


@dataclass(frozen=True)
class WordOr(Constraint):
    """A word, which becomes None, or else what another constraint allows."""

    word: str
    other: Constraint
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", f"{self.word} or {self.other.allowed}")

    def _read(self, value: object) -> Any:
        if value == self.word:
            return None
        if isinstance(value, str):
            raise not_allowed(self.allowed, value)
        return self.other._read(value)

    def _write(self, value: Any) -> Any:
        return self.word if value is None else self.other._write(value)

    def _schema(self) -> dict[str, Any]:
        return dict(UNTYPED)


class TimeOfDay(Constraint):
    """A `datetime.time`, written as HH:MM."""

    allowed = 'a time of day as "HH:MM", from "00:00" (midnight) to "23:59"'
    pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"

    def _read(self, value: object) -> time:
        if isinstance(value, time):
            value = value.isoformat().removesuffix(":00")
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise not_allowed(self.allowed, value)
        return time.fromisoformat(value)

    def _write(self, value: time) -> str:
        return f"{value:%H:%M}"

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern, "maxLength": 5}


class SlotBorder(TimeOfDay):
    """A `datetime.time` at which a delivery slot begins, written as HH:MM."""

    allowed = 'a quarter of an hour, where delivery slots begin, as "HH:MM", from "00:00" (midnight) to "23:45"'
    pattern = "^([01][0-9]|2[0-3]):(00|15|30|45)$"


class ZonedTime(Constraint):
    """A `datetime` with zone, written as RFC 3339."""

    allowed = "a time as RFC 3339 with zone, for example 2026-06-21T06:00:00+02:00"
    pattern = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"

    def _read(self, value: object) -> datetime:
        if isinstance(value, datetime):
            value = value.isoformat()  # the offset of a named zone at that moment
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise not_allowed(self.allowed, value)
        try:
            return datetime.fromisoformat(value)
        except ValueError:  # the 30th of February
            raise not_allowed(self.allowed, value) from None

    def _write(self, value: datetime) -> str:
        return value.isoformat().replace("+00:00", "Z")

    def _schema(self) -> dict[str, Any]:
        # No format date-time: an API server compares such times as moments, and their zone matters too.
        days = "timestamp(self) >= timestamp('0001-01-01T00:00:00Z')"  # an error if there is no such day
        return {
            "type": "string",
            "pattern": f"^{self.pattern}$",
            "maxLength": 32,
            "x-kubernetes-validations": [{"rule": days, "message": f"must be {self.allowed}"}],
        }


DaysOfWeek = tuple[Annotated[str, OneOf(DAYS, "A day of the week.")], ...]
MonthsOfYear = tuple[Annotated[str, OneOf(MONTHS, "A month.")], ...]
# Gateways, utilities and pods have Services, whose names must start with a letter (RFC 1035).
ResourceName = Annotated[
    str,
    Text(
        "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        "a name of at most 63 lower-case letters, digits and '-' that starts with a letter and does not end with '-'",
        63,
    ),
]
DnsLabel = Annotated[
    str,
    Text(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "a name of at most 63 lower-case letters, digits and '-' that starts and ends with a letter or digit",
        63,
    ),
]
ObjectName = Annotated[
    str,
    Text(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "a name of at most 253 lower-case letters, digits, '-' and '.' that starts and ends with a letter or digit",
        253,
    ),
]
SecretKey = Annotated[
    str, Text("^[A-Za-z0-9_][A-Za-z0-9._-]*$", "a key of a Secret: letters, digits, '-', '_' and '.'", 253)
]
HostName = Annotated[
    str,
    Text(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "the name of a host: at most 253 lower-case letters, digits, '-' and '.'",
        253,
    ),
]
Currency = Annotated[str, Text("^[A-Z]{3}$", "an ISO 4217 currency code of three capital letters such as EUR", 3)]
Domain = Annotated[
    str,
    Text("^[A-Za-z0-9][A-Za-z0-9:._-]*$", "a Beckn domain of letters, digits and ':._-' such as uei:p2p_trading", 100),
]
TimeZone = Annotated[
    str, Text("^([A-Za-z][A-Za-z0-9_+/-]*|[+-][0-9]{2}:[0-9]{2})$", "a time zone such as Europe/Berlin or +01:00", 100)
]
SpokenProtocols = Annotated[
    tuple[ProtocolVersion, ...],
    SomeOf(get_args(ProtocolVersion), "A version of Beckn: v1 (core 1.1) or v2 (2.0.0 LTS)."),
]
Retention = Annotated[
    str, Text("^(3[5-9]|[4-9][0-9]|[1-9][0-9]{2,3})d$", "a number of days, 35d to 9999d, such as 400d", 5)
]
ColumnName = Annotated[str, Text("^.+$", "the name of a column", 200)]
InlineText = Annotated[str, Text(r"^[\s\S]+$", "text of at most 8192 characters; more than that in a file", 8192)]
FilePath = Annotated[str, Text("^.+$", "the path of a file", 4096)]
