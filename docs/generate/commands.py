"""The `wattmesh` command, as its parser knows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.core
import typer.main

from docs.generate.markdown import code, table
from wattmesh_cli.main import app


def page() -> str:
    """Every subcommand with its arguments and options."""
    group = typer.main.get_group(app)
    above = typer.Context(group, info_name="wattmesh", **group.context_settings)
    parts = [f"{group.help}\n\n{group.epilog}\n", *_sections(group, above)]
    return "\n".join(parts)


def imported(group: typer.core.TyperGroup) -> dict[str, Any]:
    """The commands of a group by name, those of `wattmesh_cli.late` imported."""
    above = typer.Context(group)
    return {name: group.resolve_command(above, [name])[1] for name in group.commands}


def _sections(group: typer.core.TyperGroup, above: typer.Context) -> Iterator[str]:
    for name, command in imported(group).items():
        context = typer.Context(command, info_name=name, parent=above, **command.context_settings)
        usage = command.get_usage(context).removeprefix("Usage: ")
        records = (parameter.get_help_record(context) for parameter in command.get_params(context))
        rows = [(code(written), _plain(said)) for written, said in filter(None, records)]
        about = (command.help or "").replace("<", "\\<")
        options = table(["argument or option", "what it does"], rows)
        yield f"## {context.command_path}\n\n{about}\n\n```text\n{usage}\n```\n\n{options}"
        if isinstance(command, typer.core.TyperGroup):
            yield from _sections(command, context)


def _plain(text: str) -> str:
    return text.replace("<", "\\<").replace("[", "\\[").replace("*", "\\*")
