"""What stands in the documentation's pages: blocks of code and commands, read as a Markdown parser does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from docs.generate.sources import DOCS, ROOT, included_in

SHELL = ("sh", "console")
README = ROOT / "README.md"
PAGES = (README, *sorted(DOCS.rglob("*.md")), *sorted(included_in()))
"""All that the site shows, and the README."""


class Block(NamedTuple):
    """A fenced or indented block; `language` is "" where none is named."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that a reader is to save it as: its first line is a comment that says so."""
        found = re.match(r"# ([\w-]+\.\w+)\n", self.text)
        return found[1] if found else None


class Command(NamedTuple):
    """A command line of a block; those joined by `&&` or `|` are one each."""

    block: Block
    words: list[str]

    def __str__(self) -> str:
        return f"{self.block.where}: {shlex.join(self.words)}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """A page's blocks in order; all of them, or those in one of the languages."""
    return [block for block in _all_blocks(page) if not languages or block.language in languages]


@cache
def _all_blocks(page: Path) -> tuple[Block, ...]:
    text = page.read_text()
    if text.startswith("---\n"):  # front matter, which is no Markdown
        text = re.sub(r"\A---\n.*?^---\n", lambda found: "\n" * found[0].count("\n"), text, flags=re.M | re.S)
    return tuple(
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for token in MarkdownIt().enable("table").parse(text)
        if token.type in ("fence", "code_block") and token.map
    )


def commands(page: Path) -> list[Command]:
    """Every command of a page's shell blocks, in order."""
    return [command for block in blocks(page, *SHELL) for command in commands_of(block)]


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a shell block; in a session (`console`) they follow a `$`."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line, comments=True)
        while words:
            end = next((at for at, word in enumerate(words) if word in ("&&", "|")), len(words))
            yield Command(block, words[:end])
            words = words[end + 1 :]


def spans(page: Path) -> Iterator[Block]:
    """The code within a page's sentences and tables."""
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        for child in token.children or ():
            if child.type == "code_inline":
                yield Block(page, token.map[0] + 1 if token.map else 1, "", child.content)
