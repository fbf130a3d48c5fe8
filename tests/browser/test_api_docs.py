"""The API's documentation in a browser: it is drawn with what its own server has."""

from __future__ import annotations

import threading

import pytest
from fastapi import FastAPI
from playwright.sync_api import expect
from uvicorn import Server

from tests.browser.support import Visits
from wattmesh_cli.street.local import listen
from wattmesh_common.serving import server_settings
from wattmesh_common.web_pages import add_api_docs

pytestmark = pytest.mark.browser


def test_it_lists_the_calls(visits: Visits) -> None:
    app = FastAPI(title="a pod", docs_url=None, redoc_url=None)
    app.add_api_route("/status", lambda: {}, summary="How it stands")
    add_api_docs(app)
    listener = listen()
    server = Server(server_settings(app))
    serving = threading.Thread(target=server.run, args=([listener],))
    serving.start()
    try:
        page = visits.open(f"http://127.0.0.1:{listener.getsockname()[1]}/docs")
        expect(page.get_by_text("How it stands")).to_be_visible()
    finally:
        server.should_exit = True
        serving.join()
