"""A pod whose image lacks a plug-in refuses at its start; its last words are what status says (test_trouble)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator.test_trouble import NO_PLUGIN
from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_agents.__main__ import main
from wattmesh_operator.plan import runtime_config


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("strategy: lp", NO_PLUGIN),
        ("strategy: rules, trading: {pricing: lp}", "no pricing 'lp'; there are: fixed"),
        ("forecast: lp", "no forecast 'lp'; there are: perfect"),
    ],
)
def test_it_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str, what: str) -> None:
    street = planned(MARKET + utility() + households("roof", f"{spec}, load: {{annualKwh: 3500}}"))
    [pod] = [pod for pod in street.pods if pod.households]
    (tmp_path / "config.json").write_text(runtime_config(pod, gateway_url="http://g", epoch=0.0).model_dump_json())
    files = [
        "--config",
        str(tmp_path / "config.json"),
        "--keys",
        "none.json",
        "--database",
        "none.db",
        "--url",
        "http://p",
    ]
    with pytest.raises(SystemExit) as ended:
        main(files)
    assert ended.value.code == 2
    assert what in capsys.readouterr().err.splitlines()[-1]
