"""What is wrong with manifests, said to the person who wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattmesh_operator.resources.reasons import Reason


@dataclass(frozen=True)
class Origin:
    """Where a document was read: `document` counts from 1 within `source`, `line` is its first; None for the whole."""

    source: str
    document: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.document is None:
            return self.source
        return f"{self.source}, document {self.document} (line {self.line})"


@dataclass(frozen=True)
class Identity:
    """A resource's kind, namespace and name, as far as they are known."""

    kind: str | None
    namespace: str | None
    name: str | None

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.name) if part)


@dataclass(frozen=True)
class Mistake:
    """One thing to mend: `path` is the field (`spec.battery.initialKwh`, or empty), `what` says what is allowed.

    `reason` is that of the conditions of a resource that has the mistake.
    """

    origin: Origin | None
    identity: Identity | None
    path: str
    what: str
    reason: Reason = Reason.INVALID_SPEC

    def __str__(self) -> str:
        where = ", ".join(str(part) for part in (self.origin, self.identity) if part is not None and str(part))
        text = ": ".join(part for part in (where, self.path, self.what) if part)
        # A YAML escape can hold half a surrogate pair, which no terminal or log can encode.
        return text.encode("utf-8", "backslashreplace").decode()


class ManifestErrors(Exception):
    """Every mistake in the manifests, in the order of the documents."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(mistakes)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.mistakes))
