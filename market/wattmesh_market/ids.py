"""The form of names and identifiers, and identifiers that come out the same when a step is run twice.

A step that crashed before its end is run again; with derived ids the second run sends the very message of the
first, which its receiver knows by `(sender, message_id, action)`. The salt keeps two journals apart.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_VARIANT = "89ab"

NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""Of households, utilities, pods and feeders: a DNS label (RFC 1123)."""
NAME_LENGTH = 63
SUBSCRIBER_ID = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""Of parties and gateways in the registry."""
SUBSCRIBER_ID_LENGTH = 253


def require_name(text: str) -> None:
    """Raise ValueError unless `text` is a name."""
    if len(text) > NAME_LENGTH or not re.fullmatch(NAME, text):
        raise ValueError(f"a name has at most {NAME_LENGTH} of a-z, 0-9 and inner '-', not {text!r:.80}")


def require_subscriber_id(text: str) -> None:
    """Raise ValueError unless `text` is a subscriber id."""
    if len(text) > SUBSCRIBER_ID_LENGTH or not re.fullmatch(SUBSCRIBER_ID, text):
        raise ValueError(f"a subscriber id has at most {SUBSCRIBER_ID_LENGTH} of a-z, 0-9, '-', '.', not {text!r:.80}")


def derive_uuid(salt: str, *parts: object) -> str:
    """A UUID (RFC 9562, version 8: custom) of the BLAKE2b hash of `parts` under `salt`, as text."""
    text = "\x1f".join([salt, *map(str, parts)])
    found = blake2b(text.encode(), digest_size=16).hexdigest()
    variant = _VARIANT[int(found[16], 16) & 3]
    return f"{found[:8]}-{found[8:12]}-8{found[13:16]}-{variant}{found[17:20]}-{found[20:]}"
