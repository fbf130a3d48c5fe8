"""Files of manifests → resources, or every mistake in all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wattmesh_operator.manifests.documents import Document, read_documents
from wattmesh_operator.manifests.measured import profile_mistakes, with_absolute_profile
from wattmesh_operator.plan.references import resolve_references
from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.mistakes import Identity, ManifestErrors, Mistake, Origin
from wattmesh_operator.resources.parsing import Manifest, identity_of, parse_resource

STDIN = "-"
SUFFIXES = (".yaml", ".yml")


def load(paths: Iterable[str | Path], *, namespace: str = "default") -> tuple[Resource, ...]:
    """The resources of all the files together, in their order.

    A path is a file of YAML documents, a folder of such files (*.yaml and *.yml), or "-" for standard input.
    `namespace` is that of resources which name none. A profile's path comes back absolute. Raises
    ManifestErrors with every mistake in all files, also those of profiles, and no other error.
    """
    reading = _Reading(namespace)
    for path in paths:
        reading.read(path)
    references = resolve_references(reading.manifests, reading.invalid)
    mistakes = [*reading.mistakes, *references.mistakes]
    for manifest in reading.manifests:
        mistakes += profile_mistakes(manifest, references.gateways.get(manifest.identity))
    if mistakes:
        raise ManifestErrors(sorted(mistakes, key=reading.position))
    return tuple(manifest.resource for manifest in reading.manifests)


@dataclass
class _Reading:
    """What was found so far: the valid resources, the mistakes, and whose the mistakes are."""

    namespace: str
    manifests: list[Manifest] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    invalid: list[Identity] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def read(self, path: str | Path) -> None:
        source = str(path)
        self.sources.append(source)
        try:
            if source != STDIN and Path(path).is_dir():
                self._read_folder(Path(path))
                return
            content = sys.stdin.buffer.read() if source == STDIN else Path(path).read_bytes()
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self._unreadable(source, "is not UTF-8 text")
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._unreadable(source, f"cannot be read: {reason}")
        else:
            self._read_text(source, text, Path() if source == STDIN else Path(path).parent)

    def position(self, mistake: Mistake) -> tuple[int, int]:
        """Sorts mistakes as their documents were read."""
        assert mistake.origin is not None  # noqa: S101
        return self.sources.index(mistake.origin.source), mistake.origin.document or 0

    def _read_folder(self, folder: Path) -> None:
        files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file())
        if not files:
            self._unreadable(str(folder), "has no *.yaml or *.yml file")
        for file in files:
            self.read(file)

    def _read_text(self, source: str, text: str, folder: Path) -> None:
        documents = read_documents(source, text)
        if not documents:
            self._unreadable(source, "has no resource; declare at least one")
        for document in documents:
            self._read_document(document, folder)

    def _read_document(self, document: Document, folder: Path) -> None:
        self.mistakes.extend(document.mistakes)
        if document.value is None:
            self.invalid.append(Identity(None, None, None))
            return
        try:
            resource = parse_resource(document.value, origin=document.origin, namespace=self.namespace)
        except ManifestErrors as errors:
            self.mistakes.extend(errors.mistakes)
            self.invalid.append(identity_of(document.value, self.namespace))
            return
        self.manifests.append(with_absolute_profile(Manifest(resource, document.origin), folder))

    def _unreadable(self, source: str, what: str) -> None:
        self.mistakes.append(Mistake(Origin(source), None, "", what))
        self.invalid.append(Identity(None, None, None))
