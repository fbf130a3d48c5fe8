"""Key files: the private keys of the subscribers that live in one process.

A key file is JSON, `{"<subscriber_id>": {"key_id": "<UUID>", "private_key": "<base64 of 32 bytes>"}}`.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import pydantic_core
from pydantic import SecretStr, TypeAdapter, ValidationError

from wattmesh_beckn.context import BecknModel, SubscriberId, Uuid
from wattmesh_beckn.signature import Signer

SEED_BYTES = 32


class KeyFileError(Exception):
    """Why a key file cannot be used; never shows key material."""


class _Key(BecknModel):
    key_id: Uuid
    private_key: SecretStr


_KEYS = TypeAdapter(dict[SubscriberId, _Key])


def read_keys(path: Path) -> dict[str, Signer]:
    """The signers in a key file, by subscriber id. KeyFileError says what is wrong and where."""
    try:
        keys = _KEYS.validate_python(pydantic_core.from_json(path.read_bytes()))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise KeyFileError(f"{path}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise KeyFileError(f"{path} is not JSON: {error}") from None
    return {
        subscriber_id: Signer.from_seed(subscriber_id, key.key_id, _seed(path, subscriber_id, key))
        for subscriber_id, key in keys.items()
    }


def _seed(path: Path, subscriber_id: str, key: _Key) -> bytes:
    try:
        seed = base64.b64decode(key.private_key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"{path}: {subscriber_id}.private_key is not base64") from None
    if len(seed) != SEED_BYTES:
        raise KeyFileError(f"{path}: {subscriber_id}.private_key must be {SEED_BYTES} bytes, not {len(seed)}")
    return seed
