"""`make bench`: measure what wattmesh costs on this machine, print it, and put it into docs/."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from importlib import import_module

from bench.tables import keep
from wattmesh_common.logs import configure

PARTS = (
    "memory",
    "search",
    "messages",
    "trading",
    "scale",
    "durability",
    "hotspots",
    "long_run",
    "long_run_http",
    "days",
    "optimum",
)
"""Modules of this package whose `measure` gives tables, in the order in which they run: the longest is the last."""


def main() -> None:
    """Measure the parts asked for, or all."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)}; default: all")
    parser.add_argument("--keep", action="store_true", help="put the tables into docs/")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    configure(io.StringIO(), logging.ERROR)
    for part in options.parts or PARTS:
        sys.stderr.write(f"measuring {part} …\n")
        for measured in import_module(f"bench.{part}").measure():
            measured.print()
            if options.keep:
                keep(measured)


if __name__ == "__main__":
    main()
