"""FastAPI in front of a Site: reads bodies within the size limit and passes them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response

from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import ErrorCode, Refusal
from wattmesh_beckn.messages import CALLS
from wattmesh_beckn.receiver import MAX_BODY_BYTES, check_size
from wattmesh_beckn.transport import Reply, Site

PEER = ":peer"
"""Among a call's headers, the address it came from. No header of this name can be sent: a colon cannot stand in it."""


def add_calls(app: FastAPI, site: Site, prefix: str, actions: Iterable[str]) -> None:
    """Route `POST {prefix}/{action}` to the site for each action, described in the OpenAPI document."""
    for action in actions:
        add_post(app, site, f"{prefix}/{action}", f"Beckn {action}", _call_schema(action))


def add_post(app: FastAPI, site: Site, path: str, summary: str, schema: dict[str, Any]) -> None:
    """Route a POST with a JSON body to the site, undisturbed by FastAPI's own parsing."""
    body = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, schema.get("$defs", {}))}},
        }
    }
    app.add_api_route(
        path, _endpoint(site), methods=["POST"], summary=summary, openapi_extra=body, response_class=Response
    )


def add_not_found(app: FastAPI, paths: Callable[[], str]) -> None:
    """Answer every other POST with 404 and a NACK that says which paths there are."""

    async def not_found(request: Request) -> Response:
        message = f"no such path {request.url.path[:100]!r}; there are {paths()}"
        return _response(nack(Refusal(404, ErrorCode.INVALID_REQUEST, message)))

    app.add_api_route("/{rest:path}", not_found, methods=["POST"], include_in_schema=False)


def _inlined(node: Any, defs: Mapping[str, Any]) -> Any:
    """`node` with what its references name in their place: within an OpenAPI document they would lead nowhere."""
    if isinstance(node, list):
        return [_inlined(part, defs) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**defs[node["$ref"].removeprefix("#/$defs/")], **node}
    return {key: _inlined(value, defs) for key, value in node.items() if key not in ("$ref", "$defs")}


@cache  # a process with many pods describes each action once
def _call_schema(action: str) -> dict[str, Any]:
    return CALLS[action].model_json_schema()


def _endpoint(site: Site) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _read(request)
        except Refusal as refusal:
            return _response(nack(refusal))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        if request.client is not None:
            headers[PEER] = request.client.host
        return _response(await site.post(request.url.path, body, headers))

    return endpoint


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        check_size(int(length))
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            check_size(size)
        chunks.append(chunk)
    return b"".join(chunks)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))
