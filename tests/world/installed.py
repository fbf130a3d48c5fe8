"""Plug-ins as pip would install them: a module and the metadata of its distribution, in a folder on the path."""

from __future__ import annotations

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
    metadata = site / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in of.items()) for group, of in entries.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    (site / f"{name.replace('-', '_')}.py").write_text(dedent(module))
    patch.syspath_prepend(str(site))
    look_again()
