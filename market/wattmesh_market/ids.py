"""Identifiers that come out the same when a step is run twice.

A step that crashed before its end is run again; with derived ids the second run sends the very message of the
first, which its receiver knows by `(sender, message_id, action)`. The salt keeps two journals apart.
"""

from __future__ import annotations

import uuid


def derive_uuid(salt: str, *parts: object) -> str:
    """A name-based UUID (RFC 9562, version 5) of `parts` under `salt`, as text."""
    namespace = uuid.uuid5(uuid.NAMESPACE_OID, salt)
    return str(uuid.uuid5(namespace, "\x1f".join(str(part) for part in parts)))


class Ids:
    """The ids that one party derives under a salt: `derive_uuid(salt, party, *parts)`."""

    def __init__(self, salt: str, party: str) -> None:
        self._namespace = uuid.uuid5(uuid.NAMESPACE_OID, salt)
        self._party = party

    def derive(self, *parts: object) -> str:
        """The id of what `parts` say."""
        return str(uuid.uuid5(self._namespace, "\x1f".join([self._party, *map(str, parts)])))
