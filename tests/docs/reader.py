"""A reader who does what a page says, in a folder of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from docs.generate.sources import ROOT
from tests.docs.pages import SHELL, Command, blocks, commands_of

PATIENCE_S = 900
RUN = ("wattmesh", "python", "uvx")
"""What a reader runs; all other commands are looked at by test_blocks.py."""
_LIVE = "live page: http://127.0.0.1:"
_BEGINS = {"up", "demo", "simulate"}


def clean_environment() -> dict[str, str]:
    """Of a terminal in which no Python is set up; `--open` opens nothing."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "COVERAGE"))
    } | {"BROWSER": "true %s", "PYTHONUNBUFFERED": "1"}


class Reader:
    """Follows a page. `wattmesh up` without an end goes on until the next street is begun, or the page ends."""

    def __init__(self, folder: Path, environment: Mapping[str, str], parsed_only: Callable[[Command], bool]) -> None:
        """`parsed_only`: commands that are not run here."""
        folder.mkdir(exist_ok=True)
        shutil.copytree(ROOT / "examples", folder / "examples")
        shutil.copy(ROOT / "examples" / "street.yaml", folder)  # "your street" in short examples
        self.folder = folder
        self.said: list[tuple[Command, str]] = []
        """What each command that was run has said."""
        self._environment = dict(environment)
        self._parsed_only = parsed_only
        self._street: subprocess.Popen[str] | None = None
        self._ports = {port: str(free_port()) for port in ("8080", "8090")}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def follow(self, page: Path, uvx: list[str] | None = None) -> None:
        """Save what is to be saved, and run what is to be run, from top to bottom; `uvx` stands for that command."""
        for block in blocks(page):
            if block.file is not None:
                (self.folder / block.file).write_text(self._here(block.text))
            elif block.language == "python":
                self._run(Command(block, ["python", "-c", self._here(block.text)]))
            elif block.language in SHELL:
                for command in commands_of(block):
                    self._do(command, uvx)

    def _do(self, command: Command, uvx: list[str] | None) -> None:
        words = [self._here(word) for word in command.words]
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._environment[name] = value
        elif words[0] in RUN and not self._parsed_only(command):
            if words[0] == "uvx":
                assert uvx is not None, command
                words = [*uvx, *words[words.index("wattmesh") :]]
            self._run(Command(command.block, words))

    def _run(self, command: Command) -> None:
        words = command.words
        if _BEGINS & set(words):
            self.stop()
        endless = "up" in words and "--for" not in words
        process = subprocess.Popen(
            words, cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if endless and _LIVE in line:
                self._street = process
                self.said.append((command, "".join(said)))
                return
        process.stdout.close()
        self.said.append((command, "".join(said)))
        self._over(process.wait(PATIENCE_S))

    def stop(self) -> None:
        """Press Ctrl-C where a street runs: it stops in order."""
        process, self._street = self._street, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=PATIENCE_S)
            at = next(at for at in reversed(range(len(self.said))) if "up" in self.said[at][0].words)
            self.said[at] = (self.said[at][0], self.said[at][1] + rest)
            self._over(process.returncode, at)

    def _over(self, code: int, at: int = -1) -> None:
        command, text = self.said[at]
        assert code == 0, f"{command.block.where}: {shlex.join(command.words)[:200]}\n{text}"
        assert "Traceback" not in text, text
        assert "never retrieved" not in text, text

    def _here(self, text: str) -> str:
        """With the reader's folder, and ports that are free on this machine."""
        text = text.replace("$PWD", str(self.folder))
        return re.sub("|".join(rf"\b{port}\b" for port in self._ports), lambda found: self._ports[found[0]], text)


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
