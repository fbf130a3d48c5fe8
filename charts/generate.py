"""Writes what in charts/wattmesh is made from something else: `python charts/generate.py`, or `make chart`.

crds/ is a copy of the project's crds/, because Helm packs only what is inside the chart. The table of values in
README.md comes from the comments of values.yaml. Both versions in Chart.yaml are that of pyproject.toml: chart and
images are released together.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "wattmesh"
BEGIN, END = "<!-- values: made from values.yaml by `make chart` -->\n", "<!-- end of values -->\n"


class Undocumented(ValueError):
    """A value of values.yaml without a comment directly above it."""


@dataclass(frozen=True)
class Row:
    """A line of the table: a value with its default, or, without one, the heading of those that follow."""

    key: str
    text: str
    default: str | None


def rows(values: str) -> Iterator[Row]:
    """Every value, with the comment directly above it. Raises Undocumented. `{…}` and `[…]` are one value each."""
    lines = values.splitlines()
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise Undocumented("values.yaml is not a mapping")
    yield from _rows(root, lines, ())


def table(values: str) -> str:
    """The values as Markdown."""
    text = []
    for row in rows(values):
        if row.default is None:
            text.append(f"\n### `{row.key}`\n\n{row.text}\n\n| Value | Default | What it is |\n|---|---|---|\n")
        else:
            text.append(f"| `{row.key}` | `{row.default}` | {row.text.replace('|', '&#124;')} |\n")
    return "".join(text)


def readme(text: str, values: str) -> str:
    """README.md with the table of these values in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(values)}\n{END}{after}"


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Every file that is made, by its path in the chart, with its content."""
    chart = root / "charts" / "wattmesh"
    # Each begins with a document marker: some versions of `helm show crds` write the files one after the other without.
    files = {Path("crds") / file.name: f"---\n{file.read_text()}" for file in sorted((root / "crds").glob("*.yaml"))}
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    chart_yaml = re.sub(r"^version: .*$", f"version: {version}", (chart / "Chart.yaml").read_text(), flags=re.MULTILINE)
    files[Path("Chart.yaml")] = re.sub(r"^appVersion: .*$", f'appVersion: "{version}"', chart_yaml, flags=re.MULTILINE)
    files[Path("README.md")] = readme((chart / "README.md").read_text(), (chart / "values.yaml").read_text())
    return files


def main() -> None:
    """Write all files, and remove definitions that are no more."""
    files = generated()
    for old in (CHART / "crds").glob("*"):
        if old.relative_to(CHART) not in files:
            old.unlink()
    (CHART / "crds").mkdir(exist_ok=True)
    for path, content in files.items():
        (CHART / path).write_text(content)


def _rows(node: yaml.MappingNode, lines: Sequence[str], path: tuple[str, ...]) -> Iterator[Row]:
    for key, value in node.value:
        here = (*path, key.value)
        name = ".".join(here)
        text = _comment_above(lines, key.start_mark.line)
        if not text:
            raise Undocumented(f"{name} has no comment directly above it")
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield Row(name, text, None)
            yield from _rows(value, lines, here)
        else:
            yield Row(name, text, json.dumps(_plain(value), ensure_ascii=False))


def _comment_above(lines: Sequence[str], line: int) -> str:
    start = line
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return " ".join(text.strip().lstrip("#").strip() for text in lines[start:line])


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))


if __name__ == "__main__":
    main()
