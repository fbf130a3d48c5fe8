"""The README's commands as a newcomer runs them: from the built wheel, in a clean folder, while the machine is busy."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
UV = str(Path(shutil.which(os.environ.get("UV", "uv")) or "uv").absolute())  # found from here, run in other folders
PATIENCE_S = 900


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--out-dir", folder, ROOT], check=True, timeout=PATIENCE_S)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [path] = built.glob("*.whl")
    return path


@contextmanager
def busy() -> Iterator[None]:
    """As many processes that only compute as there are processors."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def commands(readme: str) -> list[list[str]]:
    """Every `wattmesh` and `uvx` command of the README's shell blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("wattmesh ", "uvx "))]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command says; one that lasts is stopped by Ctrl-C once its live page is there."""
    endless = "up" in command
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if endless and "live page: http://127.0.0.1:" in line:
                process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_S)
    text = "".join(said)
    assert code == 0, f"{shlex.join(command)}\n{text}"
    assert "Traceback" not in text
    assert "never retrieved" not in text
    return text


def test_the_readmes_commands_run_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "COVERAGE"))
    } | {"BROWSER": "true %s", "PYTHONUNBUFFERED": "1"}
    venv, folder = tmp_path / "venv", tmp_path / "folder"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True, timeout=PATIENCE_S)
    shutil.copytree(ROOT / "examples", folder / "examples")
    there = set(folder.iterdir())
    found = commands(README)
    assert [command[:2] for command in found[:3]] == [["uvx", "--from"], ["wattmesh", "report"], ["wattmesh", "kpis"]]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", venv, wheel], check=True, timeout=PATIENCE_S)
    with busy():
        for command in found:
            if command[0] == "uvx":
                arguments = [str(wheel) if part == "dist/*.whl" else part for part in command[1:]]
                said = run([UV, "tool", "run", "--isolated", *arguments], folder, environment)
                assert re.search(r"^audit: .*: nothing wrong$", said, re.M)
            else:
                run([str(venv / "bin" / "wattmesh"), *command[1:]], folder, environment)
    assert {path.name for path in folder.iterdir()} - {path.name for path in there} == {
        ".wattmesh",
        "mine",
        "report.html",
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
def test_every_extra_resolves_to_wheels(wheel: Path, platform: str, python: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        extras = Parser().parsestr(archive.read(metadata).decode()).get_all("Provides-Extra") or []
    documented = re.findall(r"wattmesh\[(\w+)\]", "".join(page.read_text() for page in (ROOT / "docs").glob("*.md")))
    assert set(documented) <= set(extras)
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"wattmesh[{','.join(extras)}] @ {wheel.as_uri()}\n")
    options = ["--python-version", python, "--python-platform", platform, "--only-binary", ":all:"]
    subprocess.run([UV, "pip", "compile", "--quiet", *options, wanted, "--output-file", tmp_path / "locked.txt"],
                   check=True, timeout=PATIENCE_S)  # fmt: skip
    locked = (tmp_path / "locked.txt").read_text()
    assert "\ndistributed==" in locked
    assert ("\nuvloop==" in locked) == (platform != "windows")


def test_the_source_distribution_has_what_builds_the_wheel_and_no_more_of_a_checkout(built: Path) -> None:
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "examples/street.yaml"} <= names
    assert not {name for name in names if name.startswith((".venv", ".wattmesh", "build/", "dist/"))}
