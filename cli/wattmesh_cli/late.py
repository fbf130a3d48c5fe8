"""Commands that are imported when they are run: their names and summaries are known before, so that help needs none."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from wattmesh_common.starting import importing


class LateCommand(TyperCommand):
    """A command before it is imported. `place` is its function, or the Typer app of its subcommands: `module:name`."""

    def __init__(self, name: str, summary: str, place: str) -> None:
        super().__init__(name, help=summary)
        self._place = place

    def imported(self) -> TyperCommand | TyperGroup:
        """The command itself."""
        module, _, attribute = self._place.partition(":")
        with importing():
            found = getattr(import_module(module), attribute)
        alone = typer.Typer(rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=self.name)
        else:
            alone.command(self.name)(found)
        [command] = get_group(alone).commands.values()
        assert isinstance(command, TyperCommand | TyperGroup)  # noqa: S101 - for mypy
        return command


class LateGroup(TyperGroup):
    """A group whose commands are LateCommands: they are listed as they are, and imported when one is run."""

    late: tuple[LateCommand, ...]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.late:
            self.add_command(command)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """See TyperGroup."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.imported() if isinstance(command, LateCommand) else command, rest
