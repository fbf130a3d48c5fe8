"""The bills of materials of the images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sboms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What hack/sbom makes, in a copy of all it reads."""
    copy = tmp_path_factory.mktemp("project")
    for file in ("pyproject.toml", "requirements-operator.lock", "requirements-runtime.lock"):
        shutil.copy(ROOT / file, copy)
    (copy / "hack").mkdir()
    shutil.copy(ROOT / "hack" / "sbom", copy / "hack")
    (copy / ".venv").symlink_to(ROOT / ".venv")
    subprocess.run([copy / "hack" / "sbom"], check=True, capture_output=True)
    return copy / "build" / "sbom"


@pytest.mark.parametrize("image", ["operator", "runtime"])
def test_every_locked_package_is_in_it_with_version_and_hashes(sboms: Path, image: str) -> None:
    sbom = json.loads((sboms / f"wattmesh-{image}.cdx.json").read_text())
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "wattmesh")
    listed = {part["name"]: (part["version"], _hashes(part)) for part in sbom["components"]}
    lock = (ROOT / f"requirements-{image}.lock").read_text()
    locked = {
        name: (version, set(re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes)))
        for name, version, hashes in re.findall(r"^([a-z0-9-]+)==([^ ]+)((?:.*\\\n)*.*)", lock, re.MULTILINE)
    }
    assert len(locked) > 20
    assert all(hashes for _, hashes in locked.values())
    assert listed == locked


def _hashes(component: dict[str, Any]) -> set[str]:
    references = component.get("externalReferences", [])
    found = [*component.get("hashes", []), *(one for reference in references for one in reference.get("hashes", []))]
    return {one["content"] for one in found if one["alg"] == "SHA-256"}
