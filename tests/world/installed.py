"""Plug-ins as pip would install them: a module and the metadata of its distribution, in a folder on the path."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from wattmesh_market.plugins import look_again


def install(
    folder: Path,
    patch: pytest.MonkeyPatch,
    entries: Mapping[str, Mapping[str, str]],
    module: str = "",
    *,
    name: str = "a-plugin",
) -> None:
    """Install a distribution `name`, version 1.2, with entry points by group and a module of that name's words."""
    site = folder / "site"
    site.mkdir(parents=True)
    (site / f"{name.replace('-', '_')}.py").write_text(dedent(module))
    _know(site, patch, name, "1.2", entries)


def install_source(source: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Install a folder with a pyproject.toml as an editable install does: its modules stay where they are."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    _know(folder / "site", patch, project["name"], project["version"], project["entry-points"])
    patch.syspath_prepend(str(source))


def _know(
    site: Path, patch: pytest.MonkeyPatch, name: str, version: str, entries: Mapping[str, Mapping[str, str]]
) -> None:
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in of.items()) for group, of in entries.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    patch.syspath_prepend(str(site))
    look_again()
