"""Pages as Sphinx reads them: with what other files and the code have to say, and with links that lead somewhere.

A page names what comes from elsewhere by a comment and, in the next line, a link for who reads it on GitHub:

    <!-- include -->                  the file that the link names, without its title
    <!-- include: lead -->            … what stands between its title and its first block of code
    <!-- include: table days -->      … what stands between its comments `days` and `/days`
    <!-- generated: resources -->     what a module of this package makes, see GENERATED

The link is replaced. A link to a file outside docs/ leads to the page that includes it, or to the repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from os.path import relpath
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from docs.generate import commands, http, indicators, packages, resources

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/wattmesh/wattmesh"
GENERATED: Mapping[str, Callable[..., str]] = {
    "commands": commands.page,
    "gateway": http.gateway,
    "agents": http.agents,
    "indicators": indicators.page,
    "package": packages.page,
    "resources": resources.page,
}
_ELSEWHERE = re.compile(
    r"^<!-- (?P<how>include|include: lead|include: table (?P<table>\w+)|generated: (?P<what>\w+)(?: (?P<of>\w+))?) -->"
    r"\n\[.*\]\((?P<file>[^)#]+).*\)$",
    re.MULTILINE,
)
_BLOCK = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")

log = logging.getLogger(__name__)


def complete(app: Sphinx, docname: str, content: list[str]) -> None:
    """Sphinx's event `source-read`: what a page says once all is in it."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return

    def elsewhere(match: re.Match[str]) -> str:
        if match["what"]:
            make = GENERATED[match["what"]]
            return make(match["of"]) if match["of"] else make()
        file = (page.parent / match["file"]).resolve()
        app.env.note_dependency(str(file))
        text = file.read_text()
        if match["table"]:
            _, _, rest = text.partition(f"<!-- {match['table']} -->\n")
            part, end, _ = rest.partition(f"<!-- /{match['table']} -->")
            if not end:
                log.warning("%s has no table %s", file, match["table"], location=str(page))
        else:
            part = _without_title(text, lead=match["how"] == "include: lead")
        return linked(part, file, page)

    text = _ELSEWHERE.sub(elsewhere, linked(content[0], page, page))
    content[0] = text.replace("```mermaid\n---", "```mermaid\n\n---")  # what begins like this is the diagram's own


def linked(text: str, source: Path, page: Path) -> str:
    """The text of a file as it stands on a page: its links as seen from there."""

    def link(match: re.Match[str]) -> str:
        target = (source.parent / match[1]).resolve()
        anchor = match[2] or ""
        if not target.exists():
            log.warning("%s links to %s, which is not there", source, match[1], location=str(page))
        if target.suffix == ".md" and (including := included_in().get(target)):
            target = including
        if target.is_relative_to(DOCS) and target.suffix != ".py":
            return f"]({relpath(target, page.parent)}{anchor})"
        kind = "tree" if target.is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{relpath(target, ROOT)}{anchor})"

    def lines(part: str) -> str:
        # What an include names is read later, as it stands.
        return "\n".join(
            line if before.startswith("<!-- ") else _LINK.sub(link, line)
            for before, line in zip(["", *part.split("\n")], part.split("\n"), strict=False)
        )

    position, parts = 0, []
    for block in _BLOCK.finditer(text):
        parts += [lines(text[position : block.start()]), block[0]]
        position = block.end()
    return "".join([*parts, lines(text[position:])])


@cache
def included_in() -> Mapping[Path, Path]:
    """The files outside docs/ that a page includes as a whole, and that page."""
    pages = (page for page in DOCS.rglob("*.md"))
    return {
        (page.parent / match["file"]).resolve(): page
        for page in pages
        for match in _ELSEWHERE.finditer(page.read_text())
        if match["how"] == "include"
    }


def _without_title(text: str, *, lead: bool) -> str:
    _, _, body = text.partition("\n")
    if lead:
        body, _, _ = body.partition("\n```")
        body = re.sub(r"^\[!\[.*\n", "", body, flags=re.MULTILINE)  # badges
    return body.strip()
