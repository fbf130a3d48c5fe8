"""Commands that read a cluster, as a user runs them; `kubectl` is a script that serves real HTTP on its ports."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.kubernetes_objects import answer_of, listing, listing_of, pod, reader_secret, solar_agent, utility_agent
from tests.cli.street_books import BOUGHT, FLAT, PROMISED, street
from tests.world.tokens import TOKEN
from wattmesh_cli.main import app

Run = Callable[..., Result]

WRAPPER = """#!/bin/sh
# As some who manage versions of kubectl put it on PATH: a script with kubectl as its child.
"{python}" "{folder}/stub.py" "$@"
exit $?
"""
STUB = '''
"""kubectl of a cluster that is the files beside it: list.json, agents.json, secret.json, and for each pod
its /ledger's answer to who shows its token."""
import json, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

here = Path(__file__).parent
verb, *arguments = [a for a in sys.argv[1:] if not a.startswith("--context=")]
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")

if verb == "get" and arguments[0] == "secret":
    if not (here / "secret.json").exists():
        sys.exit('Error from server (Forbidden): secrets "market-reader" is forbidden')
    print((here / "secret.json").read_text())
elif verb == "get":
    listed = here / ("agents.json" if arguments[0].startswith("solaragents.") else "list.json")
    if not listed.exists():
        print("E1122 memcache.go:265] couldn't get current server API group list", file=sys.stderr)
        sys.exit("The connection to the server localhost:8080 was refused")
    print(listed.read_text())
elif verb == "config":
    print("solar", end="")
elif verb == "port-forward":
    name = arguments[0].removeprefix("pod/")
    if (here / (name + ".refuse")).exists():
        sys.exit("Error from server (Forbidden): no right to pods/portforward")

    class Pod(BaseHTTPRequestHandler):
        def do_GET(self):
            file = here / (name + ".json")
            if not file.exists():
                return  # closes the connection without an answer
            if (here / (name + ".slow")).exists():
                time.sleep(60)
            body = file.read_bytes() if self.path == "/ledger" else b""
            known = self.headers["authorization"] == (here / (name + ".header")).read_text()
            self.send_response(401 if not known else 200 if body else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Pod)
    (here / (name + ".port")).write_text(str(server.server_port))
    print(f"Forwarding from 127.0.0.1:{server.server_port} -> 8080", flush=True)
    server.serve_forever()
'''


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example street's pods, behind a stub of kubectl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "stub.py").write_text(STUB)
    kubectl = folder / "kubectl"
    kubectl.write_text(WRAPPER.format(python=sys.executable, folder=folder))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (folder / "list.json").write_text(json.dumps(listing_of(street())))
    declare(folder, solar_agent("flat", 1), utility_agent("grid"), solar_agent("roof", 1))
    for book in street():
        (folder / f"{book.name}-x1.json").write_text(json.dumps(answer_of(book, tmp_path)))
        shown = TOKEN.of_pod(f"http://{book.name}.default.svc:8080").header["authorization"]
        (folder / f"{book.name}-x1.header").write_text(shown)
    (folder / "secret.json").write_text(json.dumps(reader_secret("default", "market-reader")))
    return folder


def declare(cluster: Path, *agents: dict[str, Any]) -> None:
    (cluster / "agents.json").write_text(json.dumps(listing(*agents)))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def calls(cluster: Path, verb: str) -> list[str]:
    return [line for line in (cluster / "calls").read_text().splitlines() if verb in line.split()]


def lines(result: Result) -> list[str]:
    return [line.rstrip() for line in result.stdout.splitlines()]


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    return line.removeprefix("wattmesh: ")


def test_an_audit_of_a_cluster_that_finds_nothing(cluster: Path) -> None:
    result = run("audit", "--kubernetes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result) == [
        "2 deliveries (0 in flight), 4 readings and 6 ledger entries checked; "
        "sums 0.000 kWh and 0.000000: nothing wrong"
    ]  # fmt: skip
    assert calls(cluster, "get") == [
        "get deployments.apps,pods "
        "--selector=app.kubernetes.io/managed-by=wattmesh-operator,app.kubernetes.io/component=agents --output=json",
        "get secret market-reader --namespace=default --output=json",
        "get solaragents.wattmesh.io,utilityagents.wattmesh.io --output=json",
    ]
    assert sorted(calls(cluster, "port-forward")) == [
        f"port-forward pod/{name}-x1 :8080 --namespace=default --address=127.0.0.1"
        for name in ("flat-0", "grid", "roof-0")
    ]


def test_no_forwarded_port_is_left_open(cluster: Path) -> None:
    run("audit", "--kubernetes")
    ports = [int(path.read_text()) for path in cluster.glob("*.port")]
    assert len(ports) == 3
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_what_an_audit_of_a_cluster_finds_is_looked_at_twice(cluster: Path) -> None:
    path = cluster / "roof-0-x1.json"
    answer = json.loads(path.read_text())
    [promised] = [row for row in answer["contracts"] if row["transaction_id"] == PROMISED]
    promised["amount_micro"] = 99_999
    path.write_text(json.dumps(answer))
    result = run("audit", "--kubernetes")
    assert result.exit_code == 1
    assert lines(result)[1] == (
        "contract-terms  flat-0  2026-06-21 10:30  bbbbbbbb     "
        "amount is 100000 millionths to the buyer, 99999 millionths to roof-0"
    )
    assert len(calls(cluster, "port-forward")) == 6


def test_a_household_that_is_scaled_away_needs_no_book(cluster: Path) -> None:
    (cluster / "list.json").write_text(json.dumps(listing_of([book for book in street() if book.name != "roof-0"])))
    still_declared = run("audit", "--kubernetes", "-o", "json")
    assert {finding["kind"] for finding in json.loads(still_declared.stdout)["findings"]} == {"no-book", "ledger-sum"}

    declare(cluster, solar_agent("flat", 1), utility_agent("grid"), solar_agent("roof", 0))
    result = run("audit", "--kubernetes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result) == [
        "2 deliveries (0 in flight, 2 with parties without a book here), 2 readings and 4 ledger entries checked; "
        "sums 0.000 kWh and 0.000000: nothing wrong"
    ]  # fmt: skip
    assert json.loads(run("audit", "--kubernetes", "-o", "json").stdout) == {
        "readings_unbooked": 0,
        "readings_overdue": 0,
        "oldest_overdue_s": 0,
        "readings_held": 0,
        "findings": [],
        "deliveries_checked": 2,
        "deliveries_in_flight": 0,
        "readings_checked": 2,
        "ledger_entries_checked": 4,
        "entries_chained": 0,
        "checkpoints_checked": 0,
        "energy_sum_kwh": "0.000",
        "amount_sum": "0.000000",
        "energy_in_flight_kwh": "0.000",
        "amount_in_flight": "0.000000",
        "deliveries_with_departed": 2,
        "deliveries_with_forgotten": 0,
        "closings_with_forgotten": 0,
        "energy_with_departed_kwh": "0.500",
        "amount_with_departed": "-0.088000",
    }


def test_the_one_side_of_a_trade_with_a_household_that_is_gone_is_still_checked(cluster: Path) -> None:
    (cluster / "list.json").write_text(json.dumps(listing_of([book for book in street() if book.name != "roof-0"])))
    declare(cluster, solar_agent("flat", 1), utility_agent("grid"))
    path = cluster / "flat-0-x1.json"
    answer = json.loads(path.read_text())
    [entry] = [row for row in answer["ledger"] if row["reference"] == BOUGHT]
    entry["amount_micro"] = -79_999
    path.write_text(json.dumps(answer))
    result = run("audit", "--kubernetes", "-o", "json")
    assert result.exit_code == 1
    [finding] = json.loads(result.stdout)["findings"]
    assert (finding["kind"], finding["party"], finding["text"]) == (
        "ledger-trade", FLAT, "entry is +400 Wh, -79999 millionths; by the contract +400 Wh, -80000 millionths",
    )  # fmt: skip


def test_who_joins_while_the_books_are_read_does_not_pass_for_departed(cluster: Path) -> None:
    run("audit", "--kubernetes")
    verbs = [line.split()[:2] for line in (cluster / "calls").read_text().splitlines()]
    assert verbs[-1] == ["get", "solaragents.wattmesh.io,utilityagents.wattmesh.io"]


def test_only_the_audit_asks_what_is_declared(cluster: Path) -> None:
    (cluster / "agents.json").unlink()
    assert run("status", "--kubernetes").exit_code == run("contracts", "--kubernetes").exit_code == 0
    assert refused(run("audit", "--kubernetes")) == (
        "kubectl get: The connection to the server localhost:8080 was refused"
    )


def test_status_and_contracts_of_a_cluster(cluster: Path) -> None:
    assert [row["slot_start"] for row in json.loads(run("status", "--kubernetes", "-o", "json").stdout)] == (
        3 * ["2026-06-21T10:30:00+00:00"]
    )
    assert lines(run("contracts", "--kubernetes", "--open"))[1:] == [
        "bbbbbbbb     2026-06-21 10:30  flat-0  roof-0  0.500   0.200000  0.100000  CONFIRMED"
    ]
    assert cluster.exists()


@pytest.mark.parametrize(
    ("arguments", "call", "place"),
    [
        ([], "get deployments.apps,pods --selector=", "namespace solar"),
        (["-n", "roofs"], "get deployments.apps,pods --namespace=roofs --selector=", "namespace roofs"),
        (["-A"], "get deployments.apps,pods --all-namespaces --selector=", "any namespace"),
        (["--context", "kind"], "--context=kind get deployments.apps,pods --selector=", "namespace solar"),
    ],
)
def test_it_looks_where_it_is_told(cluster: Path, arguments: list[str], call: str, place: str) -> None:
    (cluster / "list.json").write_text(json.dumps(listing()))
    assert f" in {place}; " in refused(run("audit", "--kubernetes", *arguments))
    [called] = calls(cluster, "get")
    assert called.startswith(call)


def test_who_may_not_read_the_token_is_told_so(cluster: Path) -> None:
    (cluster / "secret.json").unlink()
    assert refused(run("audit", "--kubernetes")) == (
        'kubectl get: Error from server (Forbidden): secrets "market-reader" is forbidden'
    )


def test_a_missing_kubectl_is_said_with_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(run("audit", "--kubernetes")) == (
        "--kubernetes needs kubectl, which is not on PATH: https://kubernetes.io/docs/tasks/tools/"
    )


def test_a_kubectl_that_cannot_be_run_is_said_to_be_one(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cluster))
    (cluster / "kubectl").write_text("")
    assert refused(run("audit", "--kubernetes")) == "kubectl cannot be run: Exec format error"


def test_without_a_cluster_kubectl_has_the_last_word(cluster: Path) -> None:
    (cluster / "list.json").unlink()
    assert refused(run("audit", "--kubernetes")) == (
        "kubectl get: The connection to the server localhost:8080 was refused"
    )


def test_a_list_that_is_not_json_is_said_to_be_none(cluster: Path) -> None:
    (cluster / "list.json").write_text("No resources found")
    assert refused(run("audit", "--kubernetes")) == "kubectl get: what it says is not JSON"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda f: (f / "flat-0-x1.json").unlink(), "no answer to /ledger (Server disconnected)"),
        (lambda f: (f / "flat-0-x1.json").write_text(""), "answers 503 to /ledger"),
        (
            lambda f: (f / "flat-0-x1.refuse").touch(),
            "kubectl port-forward: Error from server (Forbidden): no right to pods/portforward",
        ),
    ],
)
def test_a_pod_that_does_not_answer_is_named(cluster: Path, change: Callable[[Path], Any], what: str) -> None:
    change(cluster)
    assert refused(run("audit", "--kubernetes")) == f"default/flat-0-x1: {what}"


@pytest.mark.parametrize(
    ("patience", "what"),
    [
        ("_GET_S", "kubectl get: no answer within 0.001 s"),
        ("_FORWARD_S", "default/flat-0-x1: kubectl port-forward opens no port within 0.001 s"),
        ("_ANSWER_S", "default/flat-0-x1: no answer to /ledger within 0.001 s"),
    ],
)
def test_nothing_is_waited_for_without_end(
    cluster: Path, patience: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cluster / "list.json").write_text(json.dumps(listing(pod("flat-0"))))
    (cluster / "flat-0-x1.slow").touch()
    monkeypatch.setattr(f"wattmesh_cli.cluster.kubectl.{patience}", 0.001)
    assert refused(run("audit", "--kubernetes")) == what


@pytest.mark.parametrize("command", ["audit", "contracts", "status"])
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--kubernetes", "--state", "x"], "--state and --kubernetes exclude each other"),
        (["--kubernetes", "-A", "-n", "x"], "--namespace and --all-namespaces exclude each other"),
        (["-A"], "--namespace, --all-namespaces and --context need --kubernetes"),
        (["-n", "x"], "--namespace, --all-namespaces and --context need --kubernetes"),
        (["--context", "x"], "--namespace, --all-namespaces and --context need --kubernetes"),
    ],
)
def test_options_that_contradict_each_other(command: str, arguments: list[str], what: str) -> None:
    assert refused(run(command, *arguments)) == what
