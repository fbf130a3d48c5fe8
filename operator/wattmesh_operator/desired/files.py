"""Secrets and ConfigMaps: the files that a process reads at its start."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from wattmesh_common.reading_token import ReadingToken
from wattmesh_operator.cluster.objects import CONFIG_MAP, SECRET, Object
from wattmesh_operator.desired.manifest import Belonging, manifest
from wattmesh_operator.desired.names import ROTATED_KEYS

CONFIG_FILE = "config.json"
KEYS_FILE = "keys.json"
TOKEN_FILE = "token"  # noqa: S105 - a file's name


def key_secret(to: Belonging, key_file: bytes, *, name: str | None = None, rotated: str = "") -> Object:
    """The Secret that holds a key file (`wattmesh_beckn.keys`), made for that value of ROTATE_KEYS."""
    annotations = {ROTATED_KEYS: rotated} if rotated else {}
    made = manifest(SECRET, to, {"type": "Opaque"}, name=name, annotations=annotations)
    # Not in the manifest's hash: what is derived from a private key does not belong where everybody can read it.
    made["data"] = {KEYS_FILE: base64.b64encode(key_file).decode()}
    return made


def token_secret(to: Belonging, token: ReadingToken, name: str) -> Object:
    """The Secret that holds a market's reading token."""
    made = manifest(SECRET, to, {"type": "Opaque"}, name=name)
    made["data"] = {TOKEN_FILE: base64.b64encode(token.text.encode()).decode()}
    return made


def token_of(secret: Object) -> ReadingToken:
    """The reading token in a Secret. ValueError, which does not show it, if there is none."""
    try:
        text = base64.b64decode(secret["data"][TOKEN_FILE], validate=True).decode()
    except (KeyError, TypeError, ValueError):
        text = ""
    return ReadingToken(text.strip())


def config_map(to: Belonging, config: Mapping[str, Any]) -> Object:
    """The ConfigMap that holds a process's configuration."""
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return manifest(CONFIG_MAP, to, {"data": {CONFIG_FILE: text}})
