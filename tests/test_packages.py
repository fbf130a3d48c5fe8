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
