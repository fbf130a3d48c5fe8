"""The schemas of an OpenAPI document, and what is wrong with a message by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4, DRAFT202012

_HERE = "urn:document"


class Schemas:
    """A document's schemas, by path.

    Those of OpenAPI 3.1 are JSON Schema's of 2020-12; those of 3.0 are, but for annotations, draft 4's.
    """

    def __init__(self, file: Path) -> None:
        self._document: Any = yaml.safe_load(file.read_text())
        new = self._document["openapi"].startswith("3.1")
        self._kind: Any = Draft202012Validator if new else Draft4Validator
        resource = (DRAFT202012 if new else DRAFT4).create_resource(self._document)
        self._registry: Registry[Any] = Registry().with_resource(_HERE, resource)
        self._validators: dict[tuple[str, str], Validator | None] = {}

    def problem(self, path: str, what: str, content: Any) -> str | None:
        """What is first wrong with a request, or an answer, of a path; None when it is as the document says."""
        validator = self._validator(path, what)
        if validator is None:
            return f"there is no {what} of {path} in the document"
        for error in validator.iter_errors(content):
            place = ".".join(map(str, error.absolute_path))
            return f"{place or 'body'}: {error.message[:200]}"
        return None

    def _validator(self, path: str, what: str) -> Validator | None:
        if (path, what) not in self._validators:
            self._validators[path, what] = self._made(path, what)
        return self._validators[path, what]

    def _made(self, path: str, what: str) -> Validator | None:
        post = self._document["paths"].get(path, {}).get("post")
        if post is None:
            return None
        place = f"{_HERE}#/paths/{path.replace('/', '~1')}/post"
        if what == "request":
            place += "/requestBody/content/application~1json/schema"
        else:
            code, response = next(iter(post["responses"].items()))
            place = f"{_HERE}{response['$ref']}" if "$ref" in response else f"{place}/responses/{code}"
            place += "/content/application~1json/schema"
        made: Validator = self._kind({"$ref": place}, registry=self._registry, format_checker=FormatChecker())
        return made
