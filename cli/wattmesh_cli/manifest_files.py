"""How commands are told which manifests to read."""

from __future__ import annotations

from typing import Annotated

import typer

ManifestsOption = Annotated[
    list[str],
    typer.Option("--file", "-f", metavar="FILE", help="A manifest file, a folder of them, or - for standard input."),
]
MoreFiles = Annotated[list[str] | None, typer.Argument(metavar="FILE", help="More of them, as in -f street/*.yaml.")]
