"""`wattmesh validate`: every mistake in manifests, before anything is started."""

from __future__ import annotations

import typer

from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles, named
from wattmesh_cli.output import DEFAULT_OUTPUT, FOUND, Output, OutputOption, print_json, refuse
from wattmesh_operator.manifests import load
from wattmesh_operator.resources.mistakes import ManifestErrors, Mistake


def validate(
    files: ManifestsOption = None,
    more_files: MoreFiles = None,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Check manifests, all files together, and print every mistake. Exit code 1 when there is one."""
    mistakes: tuple[Mistake, ...] = ()
    resources = 0
    try:
        resources = len(load(named(files, more_files)))
    except ValueError as error:
        refuse(error)
    except ManifestErrors as errors:
        mistakes = errors.mistakes
    if output is Output.JSON:
        print_json({"mistakes": [_as_json(mistake) for mistake in mistakes]})
    elif mistakes:
        for mistake in mistakes:
            typer.echo(str(mistake))
    else:
        typer.echo(f"{resources} {'resource' if resources == 1 else 'resources'}, no mistakes")
    if mistakes:
        raise typer.Exit(FOUND)


def _as_json(mistake: Mistake) -> dict[str, object]:
    origin, identity = mistake.origin, mistake.identity
    return {
        "source": origin.source if origin else None,
        "document": origin.document if origin else None,
        "line": origin.line if origin else None,
        "kind": identity.kind if identity else None,
        "namespace": identity.namespace if identity else None,
        "name": identity.name if identity else None,
        "path": mistake.path,
        "text": mistake.what,
    }
