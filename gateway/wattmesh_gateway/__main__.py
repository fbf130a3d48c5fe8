"""The gateway's container: `python -m wattmesh_gateway --config FILE --keys FILE --token FILE --port PORT`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from wattmesh_common.starting import importing

with importing():
    from wattmesh_beckn.keys import KeyFileError, read_keys
    from wattmesh_beckn.signature import Signer
    from wattmesh_beckn.transport import HttpTransport
    from wattmesh_common.clock import SystemClock
    from wattmesh_common.logs import configure
    from wattmesh_common.reading_token import ReadingToken, TokenFileError, read_token
    from wattmesh_common.runtime import GatewayConfig
    from wattmesh_common.serving import serve
    from wattmesh_common.sqlite_files import DatabaseRefused
    from wattmesh_gateway.app import create_app
    from wattmesh_gateway.config import ConfigError, read_config
    from wattmesh_gateway.database import Database
    from wattmesh_gateway.gateway import Gateway
    from wattmesh_gateway.registry import Registry


async def run(config: GatewayConfig, signer: Signer, token: ReadingToken, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError or DatabaseRefused when it cannot start."""
    registry = Registry(config.database if config.database_uri is None else _postgresql(config.database_uri))
    transport = HttpTransport()
    try:
        await registry.start(config.subscriber_id)  # not by the server, which would tell of it in its own words
        gateway = Gateway(config, signer, registry, transport, SystemClock())
        await serve(create_app(gateway, transport, token), host, port)
    finally:
        await transport.close()
        registry.close()


def _postgresql(uri: Path) -> Database:
    try:
        from wattmesh_gateway.postgresql import PostgresDatabase
    except ImportError as error:
        raise DatabaseRefused(f"PostgreSQL needs an extra: pip install 'wattmesh[postgresql]' ({error})") from None
    return PostgresDatabase(uri)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the files, then serve. Exits with 2 and one line of text when something is wrong with them."""
    parser = argparse.ArgumentParser(prog="wattmesh_gateway", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="configuration, JSON")
    parser.add_argument("--keys", type=Path, required=True, help="key file, JSON")
    parser.add_argument("--token", type=Path, required=True, help="file with the market's reading token")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a container's is its own
    parser.add_argument("--port", type=int, default=8080, help="port to listen on")
    options = parser.parse_args(arguments)
    configure()
    try:
        config = read_config(options.config)
        keys = read_keys(options.keys)
        if config.subscriber_id not in keys:
            raise KeyFileError(f"{options.keys} has no key of {config.subscriber_id!r}")
        asyncio.run(run(config, keys[config.subscriber_id], read_token(options.token), options.host, options.port))
    except (ConfigError, KeyFileError, TokenFileError, DatabaseRefused) as error:
        parser.exit(2, f"wattmesh_gateway: {error}\n")


if __name__ == "__main__":
    main()
