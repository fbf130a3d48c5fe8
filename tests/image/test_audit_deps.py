"""The audit of the locked packages, against a service of vulnerabilities on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROBLEM = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "summary": "bad",
    "details": "bad",
    "affected": [
        {
            "package": {"name": "aiohttp", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


@contextmanager
def service(vulnerable: str) -> Iterator[str]:
    """A service in OSV's form that knows of one vulnerable package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = [PROBLEM] if asked["package"]["name"] == vulnerable else []
            body = json.dumps({"vulns": known} if known else {}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--vulnerability-service", "osv", "--osv-url", url]
    command = [sys.executable, str(ROOT / "hack" / "audit_deps.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_packages_that_nothing_is_known_against_pass() -> None:
    with service("nothing") as url:
        result = audit(url)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith(" packages, no known vulnerabilities\n")


def test_a_known_vulnerability_fails_and_is_told_with_what_to_do() -> None:
    with service("aiohttp") as url:
        result = audit(url)
    assert result.returncode == 1
    assert ": GHSA-aaaa-bbbb-cccc; make lock" in result.stderr
    assert '--upgrade-package aiohttp" (fixed in 99.0)' in result.stderr


def test_without_an_answer_nobody_says_that_all_is_well() -> None:
    with service("nothing") as url:
        pass
    result = audit(url)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("No answer about vulnerabilities: ")
    assert result.stderr.endswith("This needs the network; try again later.\n")
