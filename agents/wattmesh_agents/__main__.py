"""The agents' container: `python -m wattmesh_agents --config FILE --keys FILE --database FILE --url URL`."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wattmesh_common.starting import importing

with importing():
    from pydantic import ValidationError

    from wattmesh_agents import brain
    from wattmesh_agents.app import create_app
    from wattmesh_agents.chat import adviser_of
    from wattmesh_agents.following import Following
    from wattmesh_agents.keyring import KeyRing
    from wattmesh_agents.pod import Pod
    from wattmesh_agents.replaced import Replaced
    from wattmesh_agents.store.database import Database
    from wattmesh_beckn.keys import KeyFileError, read_keys
    from wattmesh_beckn.transport import HttpTransport
    from wattmesh_common.clock import SystemClock
    from wattmesh_common.logs import configure
    from wattmesh_common.runtime import RuntimeConfig
    from wattmesh_common.serving import serve
    from wattmesh_common.sqlite_files import DatabaseRefused, refusing
    from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
    from wattmesh_market.parties.plugged import require_installed
    from wattmesh_market.strategies import advised


async def run(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raises what is wrong with the files before anything is started."""
    text = options.config.read_bytes()
    config = RuntimeConfig.model_validate_json(text)
    require_installed(config.households)
    signers = read_keys(options.keys)
    wanted = {h.subscriber_id for h in config.households} | {u.subscriber_id for u in config.utilities}
    missing = sorted(wanted - set(signers))
    if missing:
        raise KeyFileError(f"{options.keys} has no key of {', '.join(missing)}")
    database = Database.open(options.database)
    transport, clock = HttpTransport(), SystemClock()
    # In threads: a volume that hangs must not stop trading.
    keys = KeyRing(signers, partial(asyncio.to_thread, read_keys, options.keys), clock)
    parties: Sequence[HouseholdConfig | UtilityConfig] = (*config.households, *config.utilities)
    wanting = [party.name for party in parties if advised(party.strategy)]
    pod = Pod(
        config,
        options.url.rstrip("/"),
        keys,
        database,
        transport,
        clock,
        random.Random(),  # noqa: S311 - jitter
        adviser_of(wanting, os.environ),
    )
    following = Following(pod, keys, partial(asyncio.to_thread, options.config.read_bytes), text, clock)
    replaced = Replaced(pod, options.database, clock)
    keeping = [
        asyncio.create_task(one.keep(), name=f"keeps {type(one).__name__}") for one in (keys, following, replaced)
    ]
    try:
        with refusing(options.database):
            pod.start()
        # The pod answers meanwhile; a first decision that comes before the end waits for it.
        keeping.append(asyncio.create_task(asyncio.to_thread(brain.prepare), name="prepares the brain"))
        await serve(create_app(pod), options.host, options.port)
    finally:
        for task in keeping:
            task.cancel()
        await pod.stop()
        await transport.close()
        database.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the files, then serve. Exits with 2 and one line of text when something is wrong with them."""
    parser = argparse.ArgumentParser(prog="wattmesh_agents", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration, JSON")
    parser.add_argument("--keys", type=Path, required=True, help="key file, JSON")
    parser.add_argument("--database", type=Path, required=True, help="SQLite database; made if there is none")
    parser.add_argument("--url", required=True, help="where others reach this pod")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a container's is its own
    parser.add_argument("--port", type=int, default=8080, help="port to listen on")
    options = parser.parse_args(arguments)
    configure()
    try:
        asyncio.run(run(options))
    except (OSError, KeyFileError, DatabaseRefused, ValidationError, ValueError) as error:
        text = " ".join(str(error).split())
        parser.exit(2, f"wattmesh_agents: {text}\n")


if __name__ == "__main__":
    main()
