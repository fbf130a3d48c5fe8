"""Hypothesis for all tests: the same examples on every run, and no limit of time on any of them."""

import pytest
from hypothesis import settings

settings.register_profile("wattmesh", deadline=None, derandomize=True, database=None)
settings.load_profile("wattmesh")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgresql`: tests of the gateway keep its registry there."""
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite", help="of tests/gateway")
