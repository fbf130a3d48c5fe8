"""Writes the CustomResourceDefinitions as YAML files into a folder: `python -m wattmesh_operator.crd [crds]`."""

from __future__ import annotations

import sys
from pathlib import Path

from wattmesh_operator.crd.files import crd_files


def main(folder: Path) -> None:
    """Write one file for each kind into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in crd_files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "crds"))
