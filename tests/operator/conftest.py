"""What the operator's tests share: a folder of manifests, and the mistakes found in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from wattmesh_operator.manifests import load
from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.mistakes import ManifestErrors


@pytest.fixture
def resources_of(tmp_path: Path) -> Callable[[str], Sequence[Resource]]:
    """The resources of a YAML text."""

    def read(text: str) -> Sequence[Resource]:
        file = tmp_path / "mesh.yaml"
        file.write_text(text)
        return load([file])

    return read


@pytest.fixture
def mistakes_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The mistakes in a YAML text, as a person reads them; the text is the file mesh.yaml."""
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> list[str]:
        Path("mesh.yaml").write_text(text)
        with pytest.raises(ManifestErrors) as raised:
            load(["mesh.yaml"])
        return str(raised.value).splitlines()

    return read
