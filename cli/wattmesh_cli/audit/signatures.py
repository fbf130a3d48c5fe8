"""Checks of what is signed like a Beckn message (BECKN-006): Ed25519 over the BLAKE2b-512 digest of the text."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


def signature_problem(text: str, signature: str, public_key: str, signer: str) -> str | None:
    """What is wrong with an `Authorization` header over a text, by a key (base64); None: nothing."""
    header = dict(_PARAMETER.findall(signature))
    if header.get("keyId", "").partition("|")[0] != signer:
        return "is signed by somebody else"
    digest = base64.b64encode(hashlib.blake2b(text.encode()).digest()).decode()
    signed = f"(created): {header.get('created')}\n(expires): {header.get('expires')}\ndigest: BLAKE-512={digest}"
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(header.get("signature", ""), validate=True), signed.encode())
    except (InvalidSignature, ValueError, binascii.Error):
        return "has a wrong signature"
    return None
