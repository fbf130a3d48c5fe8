"""Key files: the private keys of the subscribers that live in one process.

A key file is JSON, `{"<subscriber_id>": {"key_id": "<UUID>", "private_key": "<base64 of 32 bytes>"}}`. While keys are
rotated, `retiring` beside these two has the keys before, the newest first: each with `valid_until` in unix seconds, or
null as long as the registry is not known to hold the key that came after it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic_core
from pydantic import Field, SecretStr, TypeAdapter, ValidationError

from wattmesh_beckn.context import BecknModel, SubscriberId
from wattmesh_beckn.signature import Signer
from wattmesh_common.fields import Uuid

SEED_BYTES = 32


class KeyFileError(Exception):
    """Why a key file cannot be used; never shows key material."""


@dataclass(frozen=True)
class RetiringKey:
    """A key that was replaced. It holds until `valid_until`, unix seconds; None: until its successor is registered."""

    signer: Signer
    valid_until: int | None


@dataclass(frozen=True)
class SubscriberKeys:
    """A subscriber's keys: the current one, and those before it that may hold still, the newest first."""

    current: Signer
    retiring: tuple[RetiringKey, ...] = ()

    @property
    def signing(self) -> Signer:
        """The newest key that the registry is known to hold: what others can check signatures with."""
        waits = bool(self.retiring) and self.retiring[0].valid_until is None
        return self.retiring[0].signer if waits else self.current


class _Key(BecknModel):
    key_id: Uuid
    private_key: SecretStr


class _Retiring(_Key):
    valid_until: Annotated[int, Field(strict=True, ge=0, lt=2**40)] | None = None


class _Keys(_Key):
    retiring: tuple[_Retiring, ...] = ()


_KEYS = TypeAdapter(dict[SubscriberId, _Keys])


def read_keys(path: Path) -> dict[str, Signer]:
    """The keys in a key file to sign with, by subscriber id. KeyFileError says what is wrong and where."""
    try:
        file = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    return {subscriber_id: keys.signing for subscriber_id, keys in parse_keys(file, str(path)).items()}


def parse_keys(file: bytes, name: str) -> dict[str, SubscriberKeys]:
    """All keys in the key file called `name`, by subscriber id. KeyFileError says what is wrong and where."""
    try:
        found = _KEYS.validate_python(pydantic_core.from_json(file))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise KeyFileError(f"{name}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise KeyFileError(f"{name} is not JSON: {error}") from None

    def signer(subscriber_id: str, key: _Key, where: str) -> Signer:
        return Signer.from_seed(subscriber_id, key.key_id, _seed(f"{name}: {subscriber_id}{where}", key))

    return {
        subscriber_id: SubscriberKeys(
            signer(subscriber_id, keys, ""),
            tuple(
                RetiringKey(signer(subscriber_id, key, f".retiring.{number}"), key.valid_until)
                for number, key in enumerate(keys.retiring)
            ),
        )
        for subscriber_id, keys in found.items()
    }


def _seed(where: str, key: _Key) -> bytes:
    try:
        seed = base64.b64decode(key.private_key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"{where}.private_key is not base64") from None
    if len(seed) != SEED_BYTES:
        raise KeyFileError(f"{where}.private_key must be {SEED_BYTES} bytes, not {len(seed)}")
    return seed
