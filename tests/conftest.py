"""For all tests: Hypothesis has the same examples on every run and no limit of time, and garbage is looked for less."""

import gc

import pytest
from hypothesis import settings

settings.register_profile("wattmesh", deadline=None, derandomize=True, database=None)
settings.load_profile("wattmesh")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgresql`: tests of the gateway keep its registry there."""
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite", help="of tests/gateway")


def pytest_collection() -> None:
    """Collect no garbage while modules are imported and tests are found: nearly all of it stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collect it from now on, but only what the tests make."""
    gc.freeze()
    gc.enable()
