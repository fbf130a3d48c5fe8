"""The operator's own HTTP side: health and metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from wattmesh_common.clock import Clock
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers


def create_app(workers: Workers, health: WatchHealth, metrics: OperatorMetrics, clock: Clock) -> web.Application:
    """`/health/live`, `/health/ready`, `/rollout` (200 when all pods are up as they shall be) and `/metrics`."""

    async def live(_: web.Request) -> web.Response:
        if dead := health.dead(clock.wall()):
            return web.json_response({"status": f"the watch is dead: {', '.join(dead)}"}, status=503)
        if not workers.alive:
            return web.json_response({"status": "a worker has died"}, status=503)
        return web.json_response({"status": "live"})

    async def ready(_: web.Request) -> web.Response:
        if not health.lag_s(clock.wall()):
            return web.json_response({"status": "the resources have not been listed yet"}, status=503)
        return web.json_response({"status": "ready"})

    async def rollout(_: web.Request) -> web.Response:
        rolling = {namespace: list(pods) for namespace, pods in workers.rolling.items()}
        return web.json_response({"rolling": rolling}, status=503 if rolling else 200)

    async def show_metrics(_: web.Request) -> web.Response:
        for kind, lag_s in health.lag_s(clock.wall()).items():
            metrics.watch_lag.labels(kind).set(lag_s)
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [
            web.get("/health/live", live),
            web.get("/health/ready", ready),
            web.get("/rollout", rollout),
            web.get("/metrics", show_metrics),
        ]
    )
    return app
