"""What gateway and agents answer over HTTP, from the OpenAPI documents of their FastAPI apps."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from docs.generate.markdown import code, table
from wattmesh_agents.app import create_app as create_agents_app
from wattmesh_beckn.transport import HttpTransport
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_common.reading_token import ReadingToken
from wattmesh_gateway.app import create_app as create_gateway_app
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

_STREET = Path(__file__).parents[2] / "examples" / "street.yaml"


def gateway() -> str:
    """The calls of a gateway."""
    return _calls(_apps()[0])


def agents() -> str:
    """The calls of a pod with households or utilities."""
    return _calls(_apps()[1])


@cache
def _apps() -> tuple[FastAPI, FastAPI]:
    [street] = plan(load([_STREET]))
    start: datetime = street.resource.spec.clock.start

    async def made() -> tuple[FastAPI, FastAPI]:
        run = await run_in_memory(street, start)
        return create_gateway_app(run.gateway, HttpTransport(), ReadingToken.new()), create_agents_app(
            next(iter(run.pods.values()))
        )

    return simulate(made)


def _calls(app: FastAPI) -> str:
    described = app.openapi()
    rows = [
        (f"`{method.upper()}` {code(path)}", call["summary"], _asked(call), _answered(call, described))
        for path, methods in described["paths"].items()
        for method, call in methods.items()
    ]
    return table(["call", "what it is for", "parameters, body", "answer"], rows)


def _asked(call: dict[str, Any]) -> str:
    parts = [
        code(one["name"]) + (f": {one['description']}" if "description" in one else "")
        for one in call.get("parameters", ())
        if one["in"] != "path"
    ]
    body = call.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        fields = ", ".join(
            code(name) + ("" if name in schema.get("required", ()) else " (optional)") for name in schema["properties"]
        )
        parts.append(f"JSON: {fields}")
    return "; ".join(parts)


def _answered(call: dict[str, Any], described: dict[str, Any]) -> str:
    schema = call["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    many = "items" in schema
    reference = (schema["items"] if many else schema).get("$ref")
    if reference is None:
        return ""
    name = reference.rpartition("/")[2]
    fields = ", ".join(map(code, described["components"]["schemas"][name]["properties"]))
    return f"{'list of ' if many else ''}{name}: {fields}"
