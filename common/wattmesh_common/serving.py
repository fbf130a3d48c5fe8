"""How wattmesh serves an app over HTTP: one place for the settings of every server."""

from __future__ import annotations

from fastapi import FastAPI
from uvicorn import Server

from wattmesh_common.connections import Door, GuardedConfig, Limits
from wattmesh_common.starting import freeze_heap

GRACE_S = 10
"""How long a stop waits for calls under way."""
LIMITS = Limits()


def server_settings(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    grace_s: int = GRACE_S,
    limits: Limits = LIMITS,
    door: Door | None = None,
) -> GuardedConfig:
    """uvicorn's settings for an app. Servers of one process that share a `door` share its limit of connections."""
    return GuardedConfig(
        app,
        limits,
        door or Door(limits.connections),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,  # nothing here believes a peer's word on who it is
        server_header=False,
        timeout_graceful_shutdown=grace_s,
    )


async def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. SystemExit (3) when the server cannot start."""
    freeze_heap()
    server = Server(server_settings(app, host=host, port=port))
    await server.serve()
    if not server.started:
        raise SystemExit(3)  # uvicorn has logged why
