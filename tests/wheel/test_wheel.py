"""README and tutorial as a newcomer follows them: from the built wheel, in a clean folder, on a busy machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import Parser
from pathlib import Path

import pytest

from docs.generate.sources import DOCS, ROOT
from tests.docs.elsewhere import reason
from tests.docs.pages import README
from tests.docs.reader import PATIENCE_S, Reader, clean_environment

pytestmark = pytest.mark.wheel

UV = str(Path(shutil.which(os.environ.get("UV", "uv")) or "uv").absolute())  # found from here, run in other folders


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
    """As many processes that compute as there are processors: those of others, and more that do nothing else."""
    missing = (os.cpu_count() or 1) - int(os.getloadavg()[0])
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(missing)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a terminal in which an environment with the wheel and nothing else is active."""
    venv = tmp_path_factory.mktemp("made") / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True, timeout=PATIENCE_S)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", venv, wheel], check=True, timeout=PATIENCE_S)
    clean = clean_environment()
    return clean | {"PATH": os.pathsep.join([str(venv / "bin"), clean["PATH"]])}


def test_the_example_plugin_goes_beside_the_wheel(wheel: Path, tmp_path: Path) -> None:
    venv, plugin = tmp_path / "venv", ROOT / "examples" / "plugin"
    source = shutil.copytree(plugin, tmp_path / "plugin")  # a build leaves nothing in the repository
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True, timeout=PATIENCE_S)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", venv, wheel, source], check=True, timeout=PATIENCE_S)
    wattmesh, street = venv / "bin" / "wattmesh", plugin / "street.yaml"
    done = subprocess.run(
        [wattmesh, "simulate", street, "--state", tmp_path / "state"],
        check=True,
        timeout=PATIENCE_S,
        capture_output=True,
        text=True,
    )
    assert re.search(r"^audit: .*: nothing wrong$", done.stdout, re.M)


def follow(page: Path, folder: Path, wheel: Path, environment: dict[str, str]) -> list[str]:
    """What a page's commands say to who follows it while the machine is busy; `audit` of a cluster is left out."""
    uvx = [UV, "tool", "run", "--isolated", "--from", str(wheel)]
    with busy(), Reader(folder, environment, lambda command: reason(command) is not None) as reader:
        reader.follow(page, uvx)
    return [text for _, text in reader.said]


def test_the_readme_can_be_followed_from_the_wheel(wheel: Path, environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    first, *_ = follow(README, folder, wheel, environment)
    assert re.search(r"^audit: .*: nothing wrong$", first, re.M)
    assert {path.name for path in folder.iterdir()} - {"examples", "street.yaml"} == {
        ".wattmesh",
        "mine",
        "report.html",
    }


def test_the_tutorial_can_be_followed_from_the_wheel(wheel: Path, environment: dict[str, str], tmp_path: Path) -> None:
    said = follow(DOCS / "tutorial.md", tmp_path / "folder", wheel, environment)
    assert re.search(r"^audit: .*: nothing wrong$", said[0], re.M)
    assert said[-1].endswith(": nothing wrong\n")


def test_the_package_runs_a_study_and_says_which_extra_its_frames_need(
    environment: dict[str, str], tmp_path: Path
) -> None:
    script = "import wattmesh; run = wattmesh.Study.from_manifests('street.yaml').run(); print(run.audit().findings)"
    shutil.copy(ROOT / "examples" / "street.yaml", tmp_path)
    for code, said in ((script, "()\n"), (f"{script}; run.readings", "pip install 'wattmesh[study]'\n")):
        python = shutil.which("python", path=environment["PATH"]) or ""
        ran = subprocess.run([python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True,
                             timeout=PATIENCE_S)  # fmt: skip
        assert (ran.stdout if code == script else ran.stderr).endswith(said), ran.stderr


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
def test_every_extra_resolves_to_wheels(wheel: Path, platform: str, python: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        extras = Parser().parsestr(archive.read(metadata).decode()).get_all("Provides-Extra") or []
    documented = re.findall(r"wattmesh\[(\w+)\]", "".join(page.read_text() for page in DOCS.rglob("*.md")))
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
