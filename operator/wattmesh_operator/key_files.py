"""Key files in Secrets: made once, added to, never overwritten, never logged."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import uuid
from collections.abc import Iterable
from typing import Any

from wattmesh_beckn.keys import SEED_BYTES
from wattmesh_beckn.signature import Signer
from wattmesh_operator.cluster.objects import Object, name_of
from wattmesh_operator.desired.files import KEYS_FILE

REGISTRAR = "registrar"
"""The subscriber id that signs what registers and drains agents."""


class KeysUnreadable(Exception):
    """A Secret of keys was changed into something else; says where, never what."""


def key_file(secret: Object) -> bytes:
    """The key file in a Secret. Raises KeysUnreadable."""
    try:
        return base64.b64decode(secret["data"][KEYS_FILE], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise KeysUnreadable(f"Secret {name_of(secret)} has no {KEYS_FILE}; delete it for a new key") from None


def signers_of(secret: Object) -> dict[str, Signer]:
    """The signers whose keys are in a Secret, by subscriber id. Raises KeysUnreadable."""
    try:
        return {
            subscriber_id: Signer.from_seed(
                subscriber_id, str(uuid.UUID(key["key_id"])), base64.b64decode(key["private_key"], validate=True)
            )
            for subscriber_id, key in _read(key_file(secret)).items()
        }
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError):
        what = f"Secret {name_of(secret)}: {KEYS_FILE} is no key file; mend it, or delete the Secret for a new key"
        raise KeysUnreadable(what) from None


def with_new_keys(subscriber_ids: Iterable[str], file: bytes = b"{}") -> bytes:
    """The key file with a new Ed25519 key for each that has none in it; what is in it stays."""
    keys = _read(file)
    for subscriber_id in subscriber_ids:
        if subscriber_id not in keys:
            seed = base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
            keys[subscriber_id] = {"key_id": str(uuid.uuid4()), "private_key": seed}
    return json.dumps(keys, indent=2).encode()


def _read(file: bytes) -> dict[str, Any]:
    keys = json.loads(file)
    if not isinstance(keys, dict):
        raise ValueError("not a JSON object")
    return keys
