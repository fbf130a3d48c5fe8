import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGES = ["wattmesh_operator", "wattmesh_agents", "wattmesh_gateway", "wattmesh_beckn", "wattmesh_cli", "wattmesh"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_is_and_carries_its_types(package: str) -> None:
    assert import_module(package).__doc__
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize("folder", ["operator", "agents", "gateway", "beckn", "cli"])
def test_a_folder_that_holds_a_package_is_not_one_itself(folder: str) -> None:
    assert not (Path(__file__).parents[1] / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", ["agents", "gateway", "common", "cli"])
def test_no_sql_numbers_its_placeholders(folder: str) -> None:
    """sqlite3 of Python 3.14 takes a sequence of values for `?` only; `?1` would be refused where it is run."""
    sources = sorted((Path(__file__).parents[1] / folder).rglob("*.py"))
    assert sources
    assert [source.name for source in sources if re.search(r"\?\d", source.read_text(encoding="utf-8"))] == []
