"""wattmesh where there is neither fcntl nor uvloop nor resource, as on Windows: studies, live streets and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.world.manifests import EXAMPLES

BLOCKED = """
import sys
for name in ("fcntl", "uvloop", "resource"):
    sys.modules[name] = None  # importing it is an ImportError
from wattmesh_cli.main import app
app()
"""


def portable(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_a_study_and_its_report_need_none_of_them(tmp_path: Path) -> None:
    studied = portable("simulate", "-f", str(EXAMPLES / "seed.yaml"), "--jobs", "1", "-o", "json", cwd=tmp_path)
    assert studied.returncode == 0, studied.stderr
    summary = json.loads(studied.stdout)
    assert (summary["completed"], summary["findings"]) == (True, [])
    assert summary["contracts"] > 0
    reported = portable("report", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_a_live_street_needs_none_of_them(tmp_path: Path) -> None:
    ran = portable("up", "-f", str(EXAMPLES / "seed.yaml"), "--for", "30m", "--speed", "1800", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "✅ Contract confirmed!" in ran.stdout
    audited = portable("audit", cwd=tmp_path)
    assert audited.returncode == 0, audited.stdout
