"""ASSUME beside wattmesh: a day with the same number of households, run by a Python that has ASSUME installed.

ASSUME is licensed under the AGPL. It is not a dependency of wattmesh: it is installed into a virtual environment of its
own and runs in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.6.0"
ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / "build" / f"assume-{VERSION}"
_SCRIPT = Path(__file__).with_name("assume_day.py")


class AssumeUnavailable(Exception):
    """ASSUME cannot be installed or run. The message is one line for the user."""


@dataclass(frozen=True)
class AssumeDay:
    """What a day took: CPU seconds of the run alone, without start-up and set-up, and how often its market cleared."""

    cpu_s: float
    clearings: int


def assume_python() -> Path:
    """The Python that has ASSUME; its environment is made when it is missing. Raises AssumeUnavailable."""
    python = ENVIRONMENT / "bin" / "python"
    installed = ENVIRONMENT / ".installed"
    if not installed.exists():
        sys.stderr.write(f"installing ASSUME {VERSION} into {ENVIRONMENT.relative_to(ROOT)} …\n")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        ENVIRONMENT.parent.mkdir(exist_ok=True)
        _output([sys.executable, "-m", "venv", str(ENVIRONMENT)])
        _output([str(python), "-m", "pip", "install", "--quiet", f"assume-framework=={VERSION}"])
        installed.touch()
    return python


def assume_day(households: int, *, batteries: bool) -> AssumeDay:
    """Run a day of so many households. Raises AssumeUnavailable."""
    arguments = [str(_SCRIPT), str(households), *(["--batteries"] if batteries else [])]
    said = json.loads(_output([str(assume_python()), *arguments]))
    return AssumeDay(said["cpu_s"], said["clearings"])


def _output(command: list[str]) -> str:
    try:  # below build/, as ASSUME leaves a log where it runs
        done = subprocess.run(command, cwd=ENVIRONMENT.parent, capture_output=True, text=True, check=False)
    except OSError as error:
        raise AssumeUnavailable(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise AssumeUnavailable(f"{Path(command[0]).name} {' '.join(command[1:])}: {last}")
    return done.stdout
