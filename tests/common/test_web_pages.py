"""The API's documentation comes from the process that it documents."""

from __future__ import annotations

import asyncio
import re
import threading

import httpx
import pytest
from fastapi import FastAPI

from wattmesh_common.web_pages import add_api_docs


def get(path: str) -> httpx.Response:
    app = FastAPI(title="a <pod>", openapi_url=None)
    add_api_docs(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_the_page_and_all_it_names_are_served_here() -> None:
    page = get("/docs")
    assert (page.status_code, "<title>a &lt;pod&gt;: the API</title>" in page.text) == (200, True)
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert named == ["data:,", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"]
    assert [get(f"/{path}").status_code for path in named[1:]] == [200, 200, 200]
    assert get("/openapi.json").status_code == 200
    assert get("/docs/passwd").status_code == 404


def test_the_document_is_made_once_and_calls_go_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI(title="pod", openapi_url=None)
    add_api_docs(app)
    begun, go_on, made = threading.Event(), threading.Event(), 0

    def slow(**_: object) -> dict[str, object]:
        nonlocal made
        made += 1
        begun.set()
        assert go_on.wait(10)
        return {"openapi": "3.1.0"}

    monkeypatch.setattr("fastapi.applications.get_openapi", slow)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            asked = [asyncio.create_task(client.get("/openapi.json")) for _ in range(3)]
            await asyncio.to_thread(begun.wait, 10)
            assert (await client.get("/docs")).status_code == 200
            go_on.set()
            assert [one.json() for one in await asyncio.gather(*asked)] == [{"openapi": "3.1.0"}] * 3

    asyncio.run(ask())
    assert made == 1


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/none"])
def test_its_content_security_policy_allows_no_other_host_and_no_script_within(path: str) -> None:
    policy = dict(part.split(" ", 1) for part in get(path).headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert not re.search(r"https?:|\*", " ".join(policy.values()))
