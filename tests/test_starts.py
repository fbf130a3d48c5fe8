"""What a process does not wait for when it starts: facts, where `make bench PARTS=start` has the times."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from wattmesh_cli.late import LateCommand
from wattmesh_cli.main import app

HTTP = ["aiohttp", "fastapi", "httpx"]
SERVICES = ["kopf", "kubernetes", "langgraph", "sqlalchemy"]


def loaded(program: str) -> set[str]:
    """The modules that a program of its own has imported at its end."""
    code = f"import atexit, sys; atexit.register(lambda: print('\\n' + ' '.join(sys.modules)))\n{program}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(shown.splitlines()[-1].split())


def command(*arguments: str) -> str:
    return f"from wattmesh_cli.main import app; app({list(arguments)})"


def test_help_imports_no_command() -> None:
    modules = loaded(command("--help"))
    assert not {name for name in modules if name.startswith("wattmesh_cli.commands.")}
    assert not modules.intersection([*HTTP, *SERVICES, "pydantic", "wattmesh_operator", "wattmesh_agents"])


@pytest.mark.parametrize(
    "arguments",
    [("status", "--help"), ("contracts", "--help"), ("audit", "--help"), ("validate", "examples/street.yaml")],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_read_import_neither_services_nor_http(arguments: tuple[str, ...]) -> None:
    assert not loaded(command(*arguments)).intersection([*HTTP, *SERVICES, "plotly"])


def test_a_study_imports_neither_services_nor_http(tmp_path: Path) -> None:
    modules = loaded(command("simulate", "examples/street.yaml", "--state", str(tmp_path), "--output", "json"))
    assert "wattmesh_market.study.feeder" in modules
    assert not modules.intersection([*HTTP, *SERVICES, "wattmesh_beckn", "wattmesh_gateway", "uvicorn", "plotly"])


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("wattmesh_agents", ["langgraph", "langchain_core", "langsmith", "sqlalchemy"]),
        ("wattmesh_gateway", ["asyncpg", "psycopg", "jsonpath", "langgraph"]),
        ("wattmesh_operator", ["fastapi", "langgraph", "sqlalchemy", "uvicorn"]),
    ],
)
def test_processes_import_what_they_serve_with(module: str, without: list[str]) -> None:
    assert not loaded(f"import {module}.__main__").intersection(without)


@pytest.mark.parametrize("name", get_group(app).commands)
def test_a_command_is_summarized_as_its_own_help_begins(name: str) -> None:
    late = get_group(app).commands[name]
    assert isinstance(late, LateCommand)
    real = late.imported()
    assert (late.name, late.get_short_help_str(1000)) == (real.name, real.get_short_help_str(1000))


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("wattmesh sta", ["status"]), ("wattmesh readings acc", ["accept"]), ("wattmesh status --sort", ["--sort-by"])],
)
def test_completion_knows_commands_and_options(typed: str, completed: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from wattmesh_cli.main import app; app(prog_name='wattmesh')"],
        env={
            "_WATTMESH_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ")),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.split() == completed


def test_the_garbage_collector_works_again_after_the_start() -> None:
    program = """
import gc
import wattmesh_agents.__main__
assert gc.isenabled() and gc.get_freeze_count() > 10_000
"""
    loaded(program)
