"""The gateway over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from wattmesh_beckn.codec.v2.catalogs import TO_DISCOVERY_BODIES
from wattmesh_beckn.http import add_calls, add_not_found, add_post
from wattmesh_beckn.messages import CALLS
from wattmesh_beckn.registry import RegistryUnavailable, Subscription
from wattmesh_beckn.transport import Pages
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.web_pages import add_api_docs
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.live.routes import add_live_page
from wattmesh_gateway.lookup import LookupFilter


def create_app(gateway: Gateway, pages: Pages, token: ReadingToken) -> FastAPI:
    """The gateway's HTTP side. Its lifespan starts and stops the gateway. The live page reads pods through `pages`, by
    the right of the market's token.
    """
    watch = gateway.watched_through(pages, token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await watch.stop()
            await gateway.stop()

    app = FastAPI(title="wattmesh gateway", lifespan=lifespan, openapi_url=None)
    add_calls(app, gateway.site, "", [action for action in gateway.site.actions if action in CALLS])
    for action, body in TO_DISCOVERY_BODIES.items():
        if action in gateway.site.actions:
            add_post(app, gateway.site, f"/{action}", f"Beckn {action}", body)
    add_post(app, gateway.site, "/subscribe", "Write one registry entry", Subscription)
    add_post(app, gateway.site, "/lookup", "Find registry entries", LookupFilter)
    _add_probes(app, gateway)
    add_live_page(app, watch, gateway.clock, token)
    add_api_docs(app)
    add_not_found(app, lambda: gateway.site.paths)
    return app


def _add_probes(app: FastAPI, gateway: Gateway) -> None:
    # All of them are coroutines: FastAPI would call plain functions in a thread, where SQLite does not follow.
    @app.get("/health/live", summary="Whether the process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready", summary="Whether the registry can be read")
    async def ready(response: Response) -> dict[str, str]:
        if await gateway.ready():
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "the registry cannot be read"}

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        try:
            return Response(await gateway.metrics_text(), media_type=CONTENT_TYPE_LATEST)
        except RegistryUnavailable as error:
            return Response(str(error), status_code=503, media_type="text/plain")
