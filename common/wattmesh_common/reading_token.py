"""The right to read what households use, trade and own: a bearer token (RFC 6750) of their market.

Each pod has a token of its own, which follows from the market's and the pod's address. Whoever asks pods shows each
only that one: what a partner's server is shown opens no other pod, nor the gateway. Pods themselves know digests.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_BYTES = 32
_TEXT = re.compile(r"[A-Za-z0-9_-]{43,128}")
"""What base64url makes of 32 bytes or more."""


@dataclass(frozen=True)
class ReadingToken:
    """A market's token, or a pod's. ValueError, which does not show it, where it is none."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _TEXT.fullmatch(self.text):
            raise ValueError("this is no reading token: 43 to 128 letters, digits, - and _")

    @classmethod
    def new(cls) -> ReadingToken:
        """One that nobody knows."""
        return cls(secrets.token_urlsafe(_BYTES))

    def of_pod(self, url: str) -> ReadingToken:
        """The token of the pod at a URL, by the market's."""
        return ReadingToken(hmac.new(self.text.encode(), url.encode(), hashlib.sha256).hexdigest())

    def pod_digests(self, url: str) -> tuple[str, str]:
        """What the pod at a URL is told, by the market's token: whoever shows the market's or the pod's may read."""
        return self.digest, self.of_pod(url).digest

    @property
    def digest(self) -> str:
        """What tells the token from others and does not give it away: its SHA-256 in hex."""
        return _digest(self.text)

    @property
    def header(self) -> Mapping[str, str]:
        """The header of a request that shows it."""
        return {"authorization": f"Bearer {self.text}"}


class TokenFileError(Exception):
    """Why a file of a token cannot be used; never shows what is in it."""


def read_token(path: Path) -> ReadingToken:
    """The token in a file. Raises TokenFileError."""
    try:
        return ReadingToken(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise TokenFileError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        what = "not ASCII" if isinstance(error, UnicodeError) else str(error)
        raise TokenFileError(f"{path}: {what}") from None


def opens(shown: str, digests: Collection[str]) -> bool:
    """Whether a text is one of the tokens with these digests. All are compared, in a time that says nothing of them."""
    return sum(hmac.compare_digest(_digest(shown), known) for known in digests) > 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
