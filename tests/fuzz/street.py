"""The street that is fuzzed, in a process of its own: `python -m tests.fuzz.street STATE`.

Writes where it listens, as JSON, to standard output; the log of the whole process goes to standard error. Ends when
standard input does, and leaves its databases in STATE.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.street.puppet import STREET
from wattmesh_cli.state import TOKEN, locked
from wattmesh_cli.street.local import running_street
from wattmesh_common.logs import configure
from wattmesh_common.reading_token import read_token

SPEED = 300
"""A slot takes three seconds, so that a fuzzed trade also comes to its delivery and payment."""


async def _serve(state: Path) -> None:
    async with running_street(STREET, state, speed=SPEED) as street:
        pods = {name: pod.url for name, pod in street.pods.items()}
        sys.stdout.write(
            json.dumps({"gateway": street.gateway_url, "pods": pods, "token": read_token(state / TOKEN).text}) + "\n"
        )
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve until standard input ends."""
    configure(sys.stderr)
    state = Path(sys.argv[1])
    with locked(state):
        asyncio.run(_serve(state))


if __name__ == "__main__":
    main()
