"""Runs a module with names of the cluster resolved to loopback addresses: `python -m bench.scale.names NAMES MODULE …`.

NAMES is a JSON object of host names and addresses; the name "*" stands for all other hosts that end in .svc.
"""

from __future__ import annotations

import json
import runpy
import socket
import sys
from collections.abc import Mapping
from typing import Any


def resolve_by(names: Mapping[str, str]) -> None:
    """Have this process find hosts by this table from now on."""
    real = socket.getaddrinfo

    def find(host: Any, *arguments: Any, **more: Any) -> Any:
        if isinstance(host, str) and host.endswith(".svc"):
            host = names.get(host, names["*"])
        return real(host, *arguments, **more)

    socket.getaddrinfo = find


if __name__ == "__main__":
    _, table, module, *rest = sys.argv
    resolve_by(json.loads(table))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__")
