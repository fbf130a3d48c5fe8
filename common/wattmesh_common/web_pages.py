"""Pages: what guards them, who may read them, and the API's documentation, which asks no other host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from wattmesh_common.reading_token import opens


def guard(*, style: str = "'self'", img: str = "'self'") -> Mapping[str, str]:
    """Headers of a page that needs this server only; `style` and `img` are sources of its content security policy."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src {style}; img-src {img}; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


_BEARER = HTTPBearer(auto_error=False, scheme_name="reading token")


def readers_only(digests: Callable[[], Collection[str]]) -> APIRouter:
    """A router for pages that show what is a household's: without a reading token with one of the digests, which are
    asked for at each request, they answer 401.
    """

    async def check(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        challenge = {"WWW-Authenticate": "Bearer"}
        if shown is None:
            text = "this shows what households use and trade: 'Authorization: Bearer <reading token>' is needed"
            raise HTTPException(401, text, challenge)
        if not opens(shown.credentials, digests()):
            raise HTTPException(401, "this reading token opens nothing here", challenge)

    return APIRouter(dependencies=[Depends(check)], responses={401: {"description": "No reading token"}})


_DOCS_GUARD = guard(style="'self' 'unsafe-inline'", img="'self' data:")  # Swagger UI writes styles, and draws in data:
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}: the API</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><main id="docs"></main>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
"""
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});
"""


def add_api_docs(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, with its files below it, of `/openapi.json`. The app must be made without FastAPI's
    own pages.
    """
    making = asyncio.Lock()

    @app.get("/openapi.json", include_in_schema=False)
    async def described() -> Response:
        async with making:  # of many who ask at first, one has it made
            # It takes up to a second, in which calls and slots go on.
            return JSONResponse(await asyncio.to_thread(app.openapi))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        page = _PAGE.format(title=escape(app.title))
        return Response(page, headers=_DOCS_GUARD, media_type="text/html")

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        content, media_type = _docs_files().get(name, (b"", ""))
        if not content:
            return Response('{"detail":"no such file"}', 404, _DOCS_GUARD, media_type="application/json")
        return Response(content, headers={"Cache-Control": "no-cache", **_DOCS_GUARD}, media_type=media_type)


@cache
def _docs_files() -> Mapping[str, tuple[bytes, str]]:
    """Content and type of the page's files, once for all apps of a process."""
    static = files("fastapi_offline") / "static"
    return {
        "swagger-ui.css": ((static / "swagger-ui.css").read_bytes(), "text/css"),
        "swagger-ui-bundle.js": ((static / "swagger-ui-bundle.js").read_bytes(), "text/javascript"),
        "start.js": (_START.encode(), "text/javascript"),
    }
