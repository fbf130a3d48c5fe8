"""Copies of a pod's database, for who may run commands there: `python -m wattmesh_agents.backup take|put DATABASE`.

`take` writes a copy of one moment to the standard output or to a file, while the pod trades; `put` reads one from the
standard input or a file and puts it in the place of the database. The pod is then to be started anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wattmesh_agents.store.copies import put, take
from wattmesh_common.sqlite_files import DatabaseRefused


def main(arguments: Sequence[str] | None = None) -> None:
    """Do so. Exits with 2 and one line of text when something is wrong."""
    parser = argparse.ArgumentParser(prog="wattmesh_agents.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    taking = commands.add_parser("take", help="write a copy")
    taking.add_argument("--to", type=Path, help="file to write; default: the standard output")
    putting = commands.add_parser("put", help="restore a copy")
    putting.add_argument("--from", dest="copy", type=Path, help="file to read; default: the standard input")
    for command in (taking, putting):
        command.add_argument("database", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "put":
            put(options.database, options.copy or sys.stdin.buffer)
        elif options.to is not None:
            take(options.database, options.to)
        else:
            _write_out(options.database)
    except (OSError, DatabaseRefused) as error:
        text = " ".join(str(error).split())
        parser.exit(2, f"wattmesh_agents.backup: {text}\n")


def _write_out(database: Path) -> None:
    copy = Path(f"{database}-copy-{os.getpid()}")  # on the volume: nowhere else is room for it
    try:
        take(database, copy)
        with copy.open("rb") as file:
            copy.unlink()
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
    finally:
        copy.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
