"""What of the chart is made from, or must agree with, something else. Needs no helm."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from charts.generate import CHART, ROOT, Undocumented, generated, readme, rows, table
from wattmesh_agents.metrics import PodMetrics
from wattmesh_gateway.metrics import Metrics
from wattmesh_operator.controller.metrics import OperatorMetrics


def test_what_is_generated_is_what_would_be_generated() -> None:
    files = generated()
    assert {path: (CHART / path).read_text() for path in files if (CHART / path).exists()} == files, "run make chart"


def test_the_chart_has_the_projects_definitions_and_no_others() -> None:
    there = {file.name for file in (CHART / "crds").iterdir()}
    assert there == {file.name for file in (ROOT / "crds").iterdir()}, "run make chart"
    kinds = {yaml.safe_load((CHART / "crds" / name).read_text())["spec"]["names"]["kind"] for name in there}
    assert kinds == {"BecknGateway", "SolarAgent", "UtilityAgent"}


def test_chart_and_images_have_the_projects_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set(_properties(schema)) - {"global"}
    assert known == {row.key for row in rows((CHART / "values.yaml").read_text())}


def test_metrics_that_alerts_and_dashboard_use_exist() -> None:
    registries = PodMetrics().registry, Metrics().collectors, OperatorMetrics().registry
    exported = {name for registry in registries for name in _names(registry)}
    for file in (CHART / "dashboards" / "wattmesh.json", CHART / "templates" / "prometheusrule.yaml"):
        used = set(re.findall(r"\bwattmesh_[a-z_]+", file.read_text()))
        assert used
        assert used <= exported, file.name


def test_values_become_a_table_from_the_comments_above_them() -> None:
    values = "# A part.\npart:\n  # How many:\n  # two lines.\n  count: 1\n\n  # Either a|b.\n  which: {a: [x]}\n"
    assert table(values).splitlines() == [
        "",
        "### `part`",
        "",
        "A part.",
        "",
        "| Value | Default | What it is |",
        "|---|---|---|",
        "| `part.count` | `1` | How many: two lines. |",
        '| `part.which` | `{"a": ["x"]}` | Either a&#124;b. |',
    ]


def test_a_value_without_a_comment_is_an_error() -> None:
    with pytest.raises(Undocumented, match=r"part\.count"):
        table("# A part.\npart:\n  count: 1\n")


def test_making_the_readme_again_changes_nothing() -> None:
    values = (CHART / "values.yaml").read_text()
    once = readme((CHART / "README.md").read_text(), values)
    assert readme(once, values) == once


def test_definitions_that_are_not_there_are_none_and_the_version_is_the_projects(tmp_path: Path) -> None:
    chart = tmp_path / "charts" / "wattmesh"
    chart.mkdir(parents=True)
    (chart / "README.md").write_text("")
    (chart / "values.yaml").write_text("# One.\none: 1\n")
    (chart / "Chart.yaml").write_text('name: wattmesh\nversion: 0.0.1\nappVersion: "0.0.1"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    made = generated(tmp_path)
    assert made.keys() == {Path("Chart.yaml"), Path("README.md")}
    assert made[Path("Chart.yaml")] == 'name: wattmesh\nversion: 1.2.3\nappVersion: "1.2.3"\n'


def _properties(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        # The two figures of a container are one value of the table.
        yield f"{path}{name}"
        if not name.lower().endswith("resources"):
            yield from _properties(part, f"{path}{name}.")


def _names(registry: CollectorRegistry) -> Iterator[str]:
    for metric in registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(metric.type, [""])
        yield from (f"{metric.name}{suffix}" for suffix in suffixes)
