"""Whether 32 bytes are an Ed25519 public key that only its owner can sign for (RFC 8032, section 5.1).

The cryptography library takes any 32 bytes and fails at the first signature, and it takes the few points of small
order, under which signatures can be made without a private key. The registry refuses both at the door.
"""

from __future__ import annotations

import base64
import binascii

from nacl.bindings import crypto_core_ed25519_is_valid_point


def public_key_problem(text: str) -> str | None:
    """What is wrong with the base64 text of a public key, or None when it is sound."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "is not base64"
    if len(raw) != 32:
        return f"must be 32 bytes in base64, not {len(raw)}"
    if base64.b64encode(raw).decode() != text:
        return "is not base64 in its one canonical form"
    if not crypto_core_ed25519_is_valid_point(raw):
        return "is not an Ed25519 public key: no point of the curve's main subgroup, or one of small order"
    return None
