"""What reference pages take from the code is all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main
import yaml

from docs.generate import commands, http, packages, resources
from docs.generate.sources import DOCS, ROOT, linked
from wattmesh_cli.main import app

PACKAGES = sorted(page.stem for page in (DOCS / "reference" / "python").glob("wattmesh*.md"))

FOLDERS = [path.parent for pattern in ("wattmesh", "*/wattmesh_*") for path in ROOT.glob(f"{pattern}/__init__.py")]


def test_every_option_of_every_command() -> None:
    page = commands.page()
    for name, command in commands.imported(typer.main.get_group(app)).items():
        section = page.partition(f"## wattmesh {name}\n")[2].partition("\n## ")[0]
        options = [option for one in command.params for option in one.opts if option.startswith("-")]
        assert options
        assert [option for option in options if option not in section] == [], name


@pytest.mark.parametrize("file", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_field_of_every_kind(file: Path) -> None:
    crd = yaml.safe_load(file.read_text())
    parts = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    section = resources.page().partition(f"\n## {crd['spec']['names']['kind']}\n")[2].partition("\n## ")[0]
    for part in ("spec", "status"):
        for name, field in parts[part]["properties"].items():
            assert f"| `{name}` |" in section
            assert all(f"| `{name}.{inner}` |" in section for inner in field.get("properties", {}))


def test_calls_of_gateway_and_pods() -> None:
    assert "| `POST` `/subscribe` | Write one registry entry |" in http.gateway()
    assert "| `POST` `/{household}/confirm` | Beckn confirm |" in http.agents()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_module_of_every_package(package: str) -> None:
    [folder] = (path for path in FOLDERS if path.name == package)
    files = {file.relative_to(folder) for file in folder.rglob("*.py") if not file.stem.startswith("_")}
    page = packages.page(package)
    assert files
    assert [file for file in files if f"\n## {'.'.join(file.with_suffix('').parts)}\n" not in f"\n{page}"] == []


def test_all_packages_have_a_page() -> None:
    assert {path.name for path in FOLDERS} == set(PACKAGES)


def test_links_lead_to_the_page_that_includes_a_file_or_to_the_repository() -> None:
    page = DOCS / "how-to" / "own-strategy.md"
    text = "[a](ARCHITECTURE.md#time) [b](docs/images/live.png) [c](examples/street.yaml) [d](https://e.example/f.md)"
    assert linked(text, ROOT / "README.md", page) == (
        "[a](../design/architecture.md#time) [b](../images/live.png) "
        "[c](https://github.com/wattmesh/wattmesh/blob/main/examples/street.yaml) [d](https://e.example/f.md)"
    )
