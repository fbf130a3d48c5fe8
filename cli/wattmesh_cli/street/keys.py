"""Keys and reading token of a street on one machine: kept in its state directory; keys, or derived from a seed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Iterable
from pathlib import Path

from wattmesh_beckn.keys import SEED_BYTES, KeyFileError, read_keys
from wattmesh_beckn.signature import Signer
from wattmesh_cli.state import StateError, write_whole
from wattmesh_common.reading_token import ReadingToken, TokenFileError, read_token


def derived_signers(subscriber_ids: Iterable[str], seed: int) -> dict[str, Signer]:
    """Keys that come out the same for the same seed: for simulations only, anybody can derive them."""
    signers = {}
    for subscriber_id in subscriber_ids:
        key_seed = hashlib.blake2b(f"{seed}/{subscriber_id}".encode(), digest_size=SEED_BYTES).digest()
        key_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/{subscriber_id}"))
        signers[subscriber_id] = Signer.from_seed(subscriber_id, key_id, key_seed)
    return signers


def kept_signers(path: Path, subscriber_ids: Iterable[str]) -> dict[str, Signer]:
    """The keys in a key file; keys that are missing there are made and added. Only the owner may read the file."""
    wanted = set(subscriber_ids)
    try:
        known = read_keys(path) if path.exists() else {}
        missing = sorted(wanted - set(known))
        if missing:
            _add(path, missing)
            known = read_keys(path)
    except (KeyFileError, OSError) as error:
        raise StateError(str(error)) from None
    return {subscriber_id: known[subscriber_id] for subscriber_id in wanted}


def kept_token(path: Path) -> ReadingToken:
    """The street's reading token in a file, which is made if there is none. Only the owner may read it: StateError when
    others may.
    """
    try:
        if not path.exists():
            write_whole(path, ReadingToken.new().text, mode=0o600)
        if os.name == "posix" and (mode := path.stat().st_mode & 0o777) & 0o077:
            raise StateError(f"{path}: others may read it (mode {mode:o}); delete it, and a new one is made")
        return read_token(path)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    except TokenFileError as error:
        raise StateError(str(error)) from None


def _add(path: Path, subscriber_ids: Iterable[str]) -> None:
    keys = json.loads(path.read_bytes()) if path.exists() else {}
    for subscriber_id in subscriber_ids:
        private_key = base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
        keys[subscriber_id] = {"key_id": str(uuid.uuid4()), "private_key": private_key}
    write_whole(path, json.dumps(keys, indent=2), mode=0o600)
