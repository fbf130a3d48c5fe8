"""kubectl and helm take the documentation's commands: their own parsers read each, and then find no cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from docs.generate.sources import ROOT
from tests.docs.pages import PAGES, Command, commands

pytestmark = pytest.mark.helm

COMMANDS = [command for page in PAGES for command in commands(page) if command.words[0] in ("kubectl", "helm")]
NOWHERE = "127.0.0.1:9"
_POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: made}\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A kubeconfig whose contexts are those of the commands, of a cluster that does not answer."""
    file = tmp_path / "config"
    context = {"cluster": "nowhere", "user": "nobody"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "nowhere", "cluster": {"server": f"http://{NOWHERE}"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "kind-wattmesh", "context": context}],
        "current-context": "kind-wattmesh",
    }
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_is_understood(command: Command, nowhere: Path, tmp_path: Path) -> None:
    for name in (
        "cluster.yaml",
        "profiles/manifests.yaml",
        "profiles/default/rooftop/rooftop-0.csv",
        "key",
        "spot.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(_POD)
    for name in ("charts", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        **os.environ,
        "KUBECONFIG": str(nowhere),
        "HELM_CACHE_HOME": str(tmp_path),
        "HELM_CONFIG_HOME": str(tmp_path),
    }
    made = subprocess.run(
        command.words,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        input=_POD,
    )
    if command.words[:2] == ["helm", "show"]:  # needs no cluster
        assert made.returncode == 0, made.stderr
        return
    assert made.returncode != 0
    assert "refused" in made.stderr, made.stderr
