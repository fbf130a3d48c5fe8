"""Whether 32 bytes are an Ed25519 public key that only its owner can sign for (RFC 8032, section 5.1).

The cryptography library takes any 32 bytes and fails at the first signature, and it takes the few points of small
order, under which signatures can be made without a private key. The registry refuses both at the door.
"""

from __future__ import annotations

import base64
import binascii

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


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
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P or not _on_curve(y):
        return "is not an Ed25519 public key: no point of the curve"
    for _ in range(3):
        y = _double(y)
    if y == 1:
        return "is not an Ed25519 public key of any use: a point of small order"
    return None


def _x_squared(y: int) -> int:
    return (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P


def _on_curve(y: int) -> bool:
    return pow(_x_squared(y), (_P - 1) // 2, _P) in (0, 1)


def _double(y: int) -> int:
    """The y of twice a point of this y."""
    x_squared = _x_squared(y)
    return (y * y + x_squared) * pow(1 - _D * x_squared * y * y, -1, _P) % _P
