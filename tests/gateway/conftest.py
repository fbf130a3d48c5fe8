"""On which database the gateway's tests run: `pytest tests/gateway --database postgresql`."""

from __future__ import annotations

import pytest

from tests.gateway import support
from tests.world import postgresql


def pytest_configure(config: pytest.Config) -> None:
    support.kept_in_postgresql = config.getoption("database") == "postgresql"
    if support.kept_in_postgresql and postgresql.programs() is None:
        raise pytest.UsageError(postgresql.MISSING)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is true of a file only is not asked of a server."""
    if support.kept_in_postgresql and item.get_closest_marker("sqlite"):
        pytest.skip("of SQLite's files only")
