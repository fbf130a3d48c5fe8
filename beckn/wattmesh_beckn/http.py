"""FastAPI in front of a Site: reads bodies within the limits of size and time and passes them on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import ErrorCode, Refusal, invalid
from wattmesh_beckn.messages import CALLS
from wattmesh_beckn.receiver import MAX_BODY_BYTES, check_size
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION
from wattmesh_beckn.transport import Reply, Site

PEER = ":peer"
"""Among a call's headers, the address it came from. No header of this name can be sent: a colon cannot stand in it."""

BODY_S = 10.0
"""How long a body may take to arrive. Honest ones are in the packets that follow the head."""
Body = type[BaseModel] | dict[str, Any]
"""A body's model, or its JSON schema."""
_JSON = "application/json"
_BODY = "requestBody"
_ONLY_ONCE = frozenset((AUTHORIZATION, GATEWAY_AUTHORIZATION, "content-type", "content-encoding"))
log = logging.getLogger(__name__)


def add_calls(app: FastAPI, site: Site, prefix: str, actions: Iterable[str], *, body_s: float = BODY_S) -> None:
    """Route `POST {prefix}/{action}` to the site for each action, described in the OpenAPI document."""
    for action in actions:
        add_post(app, site, f"{prefix}/{action}", f"Beckn {action}", CALLS[action], body_s=body_s)


def add_post(app: FastAPI, site: Site, path: str, summary: str, body: Body, *, body_s: float = BODY_S) -> None:
    """Route a POST with a JSON body to the site, undisturbed by FastAPI's own parsing."""
    app.router.add_api_route(
        path,
        _endpoint(site, body_s),
        methods=["POST"],
        summary=summary,
        openapi_extra={_BODY: body},
        response_class=Response,
        route_class_override=_Undisturbed,
    )


class _Undisturbed(APIRoute):
    """A route whose endpoint gets the request as it comes: nothing is parsed or injected for it.

    Its body is described when the OpenAPI document is made: schemas of all messages would be a third of a pod's start.
    """

    _given: Mapping[str, Body]

    @property
    def openapi_extra(self) -> dict[str, Any]:
        """See APIRoute."""
        body = self._given[_BODY]
        schema = body if isinstance(body, dict) else body_schema(body)
        return {_BODY: {"required": True, "content": {_JSON: {"schema": schema}}}}

    @openapi_extra.setter
    def openapi_extra(self, given: dict[str, Any]) -> None:
        self._given = given

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def add_not_found(app: FastAPI, paths: Callable[[], str]) -> None:
    """Answer what no route takes with 404: a POST with a NACK that says which paths there are, the rest for people.

    No answer redirects: it would lead to where the Host header says.
    """

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"][:100]
        if scope["method"] == "POST":
            message = f"no such path {path!r}; there are {paths()}"
            answer = _response(nack(Refusal(404, ErrorCode.INVALID_REQUEST, message)))
        else:
            answer = JSONResponse({"detail": f"no such page {path!r}; /docs says which there are"}, 404)
        await answer(scope, receive, send)

    app.router.redirect_slashes = False
    app.router.default = not_found


@cache  # a process with many pods describes each body once
def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a body, to be read only: an OpenAPI document takes it without `$ref`."""
    schema = model.model_json_schema()
    described: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return described


def _inlined(node: Any, defs: Mapping[str, Any]) -> Any:
    """`node` with what its references name in their place: within an OpenAPI document they would lead nowhere."""
    if isinstance(node, list):
        return [_inlined(part, defs) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**defs[node["$ref"].removeprefix("#/$defs/")], **node}
    return {key: _inlined(value, defs) for key, value in node.items() if key not in ("$ref", "$defs")}


def _endpoint(site: Site, body_s: float) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        path: str = request.scope["path"]  # the one that was routed; request.url is put together with the Host header
        try:
            headers = _headers(request)
            body = await _read(request, headers, body_s)
            return _response(await site.post(path, body, headers))
        except Refusal as refusal:
            return _response(nack(refusal))
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("fault in answering POST %.200s", path)
            return _response(nack(Refusal(500, ErrorCode.BUSINESS_ERROR, "internal error; the log here says more")))

    return endpoint


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, value in request.scope["headers"]:
        name = raw_name.decode("latin-1")
        if name in headers and name in _ONLY_ONCE:
            raise invalid(f"header {name} is there more than once")
        headers[name] = value.decode("latin-1")
    if request.client is not None:
        headers[PEER] = request.client.host
    return headers


async def _read(request: Request, headers: Mapping[str, str], body_s: float) -> bytes:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, ErrorCode.INVALID_REQUEST, "compressed bodies are not read", headers={"Accept-Encoding": ""})
    media_type = headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if media_type != _JSON:
        raise Refusal(415, ErrorCode.INVALID_REQUEST, f"content-type must be {_JSON}, not {media_type[:100]!r}")
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        check_size(int(length))
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(body_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    check_size(size)
                chunks.append(chunk)
    except TimeoutError:
        message = f"the body did not arrive within {body_s:g} s"
        raise Refusal(408, ErrorCode.INVALID_REQUEST, message, headers={"Connection": "close"}) from None
    return b"".join(chunks)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))
