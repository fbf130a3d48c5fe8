"""What the images install."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ["market/wattmesh_market", "common/wattmesh_common", "beckn/wattmesh_beckn"]
FOLDERS = {
    "operator": [*SHARED, "operator/wattmesh_operator"],
    "runtime": [*SHARED, "agents/wattmesh_agents", "gateway/wattmesh_gateway"],
}


@pytest.mark.parametrize("image", FOLDERS)
def test_an_image_installs_what_the_project_is_tested_with(image: str) -> None:
    everything = _locked("requirements.lock")
    for name, pin in _locked(f"requirements-{image}.lock").items():
        assert pin == everything[name], "run make lock"


@pytest.mark.parametrize("image", FOLDERS)
def test_an_image_has_all_that_its_packages_import(image: str) -> None:
    locked = _locked(f"requirements-{image}.lock").keys()
    distributions = packages_distributions()
    for module in {module for folder in FOLDERS[image] for module in _imports(ROOT / folder)}:
        assert any(_normal(name) in locked for name in distributions[module]), module


def test_gateway_and_agents_come_without_the_operators_and_the_command_lines_packages() -> None:
    runtime, operator = _locked("requirements-runtime.lock"), _locked("requirements-operator.lock")
    field = {"demandlib", "h5py", "numpy", "pandas", "pvlib", "scipy"}
    assert field <= _locked("requirements.lock").keys()
    assert not field & (runtime.keys() | operator.keys())
    assert not {"kopf", "kubernetes", "rich", "typer", "async-solipsism", "pytest"} & runtime.keys()
    assert not {"langgraph", "langchain-core", "rich", "typer", "async-solipsism", "pytest"} & operator.keys()


@pytest.mark.parametrize("image", FOLDERS)
def test_the_dockerfile_copies_these_packages(image: str) -> None:
    stage = (ROOT / "Dockerfile").read_text().partition(f"AS {image}-code\n")[2].partition("\nFROM ")[0]
    assert re.findall(r"^COPY (\S+)", stage, re.MULTILINE) == FOLDERS[image]


def test_every_stage_is_built_on_the_base_that_an_argument_names() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.12-slim@sha256:[0-9a-f]{64}$", dockerfile.partition("\nFROM ")[0], re.MULTILINE
    )
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile, re.MULTILINE)
    assert len(stages) == len(re.findall(r"^\s*FROM\b", dockerfile, re.MULTILINE | re.IGNORECASE))
    assert {source for source, _ in stages} - {name for _, name in stages} == {"${PYTHON_IMAGE}"}


def _locked(file: str) -> dict[str, str]:
    """Each package's version and hashes; where it is needed at all may differ, as another package may need it, too."""
    entries = re.split(r"^(?=[a-z])", (ROOT / file).read_text(), flags=re.MULTILINE)[1:]
    return {
        re.split(r"[=\[; ]", entry)[0]: re.sub(r"( ; .*(?= \\\n)| +# .*\n|^ *#.*\n)", "", entry, flags=re.MULTILINE)
        for entry in entries
    }


def _imports(folder: Path) -> Iterator[str]:
    """Third-party modules that a package imports anywhere."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                module = name.split(".")[0]
                if module not in sys.stdlib_module_names and not module.startswith("wattmesh_"):
                    yield module


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
