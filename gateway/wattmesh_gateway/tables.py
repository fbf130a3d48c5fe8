"""The registry's tables, for SQLite and PostgreSQL alike.

`SCHEMA` is what must not be lost. `PASSING` is what a start may forget: in SQLite it is in memory, in PostgreSQL its
changes are not logged.
"""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

VERSION = 4
"""Raised with every change of `SCHEMA`; then there is a step that leads to it, with a test of its own."""

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""In the order of its bytes, as SQLite has it."""
_WHOLE = BigInteger().with_variant(Integer, "sqlite")
_UNIX_S: TypeEngine[float] = Double().with_variant(REAL, "sqlite")


def _table(name: str, of: MetaData, *parts: Column[str] | Column[int] | Column[float] | Column[bytes]) -> Table:
    return Table(name, of, *parts, sqlite_strict=True, sqlite_with_rowid=False)


def _text(name: str, *, key: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, _TEXT, nullable=False, primary_key=key, server_default=default)


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, _WHOLE, nullable=False, primary_key=key, autoincrement=False)


SCHEMA = MetaData()
SUBSCRIPTION = _table(
    "subscription",
    SCHEMA,
    _text("subscriber_id", key=True),
    _text("type", key=True),
    _text("key_id", key=True),
    _text("url"),
    _text("domain"),
    _text("city"),
    _text("country"),
    _text("signing_public_key"),
    _text("encr_public_key"),
    _whole("valid_from_ms"),
    _whole("valid_until_ms"),
    _text("status"),
    _whole("created_ms"),
    _whole("updated_ms"),
    _whole("changed"),
    _text("protocols", default="v1"),
)
"""One row for each key of each role of a subscriber. `changed` numbers the changes of the whole table: an entry that is
written gets the next number. `protocols`: which versions of Beckn it speaks, separated by commas.
"""
SUBSCRIPTION.append_constraint(CheckConstraint("type IN ('BAP', 'BPP', 'BG')"))
SUBSCRIPTION.append_constraint(CheckConstraint("status IN ('SUBSCRIBED', 'UNSUBSCRIBED')"))
Index("subscription_by_area", SUBSCRIPTION.c.domain, SUBSCRIPTION.c.city, SUBSCRIPTION.c.type)
Index("subscription_by_change", SUBSCRIPTION.c.changed, unique=True)
NUMBERING = _table("numbering", SCHEMA, _whole("one", key=True), _whole("changed"), _whole("dropped"))
"""One row: the newest change there was, and the newest of those that were dropped. Who writes a subscription holds the
row until that is done, so changes become visible in the order of their numbers.
"""
ACCEPTED = _table(
    "accepted",
    SCHEMA,
    _text("subscriber_id", key=True),
    Column("call", LargeBinary, nullable=False, primary_key=True),
    _whole("created_s"),
)
"""The newest subscribe calls that had an effect: all of one subscriber's were signed in the same second."""
CATALOG = _table(
    "catalog",
    SCHEMA,
    _text("subscriber_id", key=True),
    _text("catalog_id", key=True),
    _whole("said_ms"),
    _whole("heard_ms"),
    _text("offers"),
    Column("body", LargeBinary),
)
"""What sellers that speak v2 have published. A catalog that was withdrawn has no body: what was said before that is
still known to be older. `offers`: of each offer its times (grid time) and for whom it is, as a JSON list.
"""

PASSING = MetaData(schema="temp")
ANSWERED = _table(
    "answered",
    PASSING,
    Column("call", LargeBinary, nullable=False, primary_key=True),
    _text("sender"),
    Column("keep_until", _UNIX_S, nullable=False),
    _whole("status"),
    Column("body", LargeBinary, nullable=False),
    _text("headers"),
    Column("said", LargeBinary),
)
"""The answer to each call that has not expired: `call` is a digest of sender, message and action, `said` one of what it
said, `headers` a JSON object.
"""
Index("answered_by_sender", ANSWERED.c.sender, ANSWERED.c.keep_until)
Index("answered_by_end", ANSWERED.c.keep_until)
ALLOWANCE = _table(
    "allowance", PASSING, _text("what", key=True), _text("name", key=True), Column("full_at", _UNIX_S, nullable=False)
)
"""When (unix seconds) somebody may again call as often as at first."""

OWNED = MetaData()
OWNER = Table("registry", OWNED, Column("version", Integer, nullable=False), Column("gateway", Text, nullable=False))
"""Of what version the tables in a PostgreSQL database are, and which gateway's. A SQLite file has its version in its
header and is one gateway's by its place.
"""
