"""examples/plugin: installed as its pyproject.toml says, and beside `plan` and `rules` in one comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.world.installed import install_source
from tests.world.manifests import EXAMPLES
from wattmesh_cli.main import app
from wattmesh_market.plugins import look_again

PLUGIN = EXAMPLES / "plugin"
STRATEGIES = ("lp", "plan", "rules")
BENEFIT = "utility_only_benefit_feed_in"
"""What is saved against each household alone, with what is left in the batteries."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with the plug-in installed."""
    install_source(PLUGIN, tmp_path / "installed", monkeypatch)
    yield tmp_path
    monkeypatch.undo()
    look_again()


def wattmesh(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_saves_more_than_rules_and_about_as_much_as_plan(folder: Path) -> None:
    for strategy in STRATEGIES:
        more = [] if strategy == "lp" else ["--set", f"solaragent/roof.spec.strategy={strategy}"]
        told = json.loads(
            wattmesh("simulate", PLUGIN / "street.yaml", "--state", folder / strategy, "--jobs", 1, *more, "-o", "json")
        )
        assert told["findings"] == []
        # A busy machine may find the LP slow, which is told and changes nothing.
        assert [trouble for trouble in told["plugins"] if "is slow" not in trouble] == []
    compared = json.loads(wattmesh("compare", *(folder / strategy for strategy in STRATEGIES), "--output", "json"))
    [row] = [one for one in compared["kpis"] if (one["party"], one["kpi"]) == ("community", BENEFIT)]
    saved = dict(zip(compared["runs"], map(float, row["values"]), strict=True))
    assert saved["lp"] > 1.3 * saved["rules"]
    assert saved["lp"] > 0.85 * saved["plan"]


def test_the_readme_compares_what_this_test_does() -> None:
    text = (PLUGIN / "README.md").read_text()
    assert re.findall(r"--state (\w+)", text) == [*STRATEGIES]
    assert f"wattmesh compare {' '.join(STRATEGIES)}" in text


def test_the_image_is_given_all_that_the_package_is_made_of() -> None:
    dockerfile = (PLUGIN / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.*) /tmp/plugin/$", dockerfile, re.M)[0].split()
    assert set(copied) == {"pyproject.toml", *(path.name for path in PLUGIN.glob("*.py"))}
    users = re.findall(r"^USER (\S+)$", dockerfile, re.M)
    assert users[-1] == "65532:65532"
