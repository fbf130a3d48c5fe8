"""Fuzz a running street: `python -m tests.fuzz.campaign --cases 10000 --seed 1` (`make fuzz`).

schemathesis generates calls from the OpenAPI documents of the gateway and the pods, right and wrong ones. Each is sent
by somebody without a key, and again signed by a subscriber, as it is or made more plausible: see `cases.py`. All
the while that subscriber trades with the street. At the end the process must be well and its books right.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.fuzz.answers import problem_of
from tests.fuzz.cases import lean_document, parsed, signed_entry, signed_message, unsigned_headers
from tests.fuzz.trader import TIMEOUT_S, Trader, listening
from tests.street.puppet import PUPPET, STREET, findings
from tests.world.subscribers import entry_at
from wattmesh_beckn.keys import read_keys
from wattmesh_beckn.signature import Signer
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.keys import derived_signers
from wattmesh_common.clock import SystemClock
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.runtime import REGISTRAR

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

ROOT = Path(__file__).parents[2]
MOST_AT_A_TIME = 10
"""Cases of one operation at a time: all operations take turns, for a trade needs them all."""
PAGES_SHARE = 0.02
READERS_SHARE = 0.8
"""Of the pages that are asked for, those for which the right to read is shown."""
MOST_PROBLEMS = 20


@dataclass
class Row:
    """What came of an operation's cases."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0


@dataclass
class Report:
    """What came of all cases, and what was wrong, with what to do to see it again."""

    rows: defaultdict[tuple[str, str], Row] = field(default_factory=lambda: defaultdict(Row))
    problems: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def cases(self) -> int:
        """How many were sent."""
        return sum(row.statuses.total() for row in self.rows.values())

    def table(self) -> str:
        """A line for each operation and campaign."""
        statuses = sorted({status for row in self.rows.values() for status in row.statuses})
        lines = [f"{'operation':34}{'sent':>9}{'slowest':>10}" + "".join(f"{status:>8}" for status in statuses)]
        for (operation, campaign), row in sorted(self.rows.items()):
            lines.append(
                f"{operation:26}{campaign:8}{row.statuses.total():>9}{row.slowest_s * 1000:>7.0f} ms"
                + "".join(f"{row.statuses[status] or '':>8}" for status in statuses)
            )
        return "\n".join([*lines, f"{self.cases} cases in {self.took_s:.0f} s"])


class Campaign:
    """Sends cases to one street. `where` is what its process wrote when it started."""

    def __init__(self, where: dict[str, Any], trader: Trader, registrar: Signer, seed_: int) -> None:
        self.report = Report()
        self._trader = trader
        self._registrar = registrar
        self._rng = random.Random(f"cases {seed_}")
        self._session = requests.Session()
        self._session.trust_env = False
        self._reader = ReadingToken(where["token"]).header
        self._hosts = {"gateway": where["gateway"], **where["pods"]}
        documents = {
            host: self._session.get(f"{url}/openapi.json", timeout=TIMEOUT_S).json()
            for host, url in self._hosts.items()
        }
        self._whole = {host: _operations(document, bodies_only=False) for host, document in documents.items()}
        self._bare = {host: _operations(document, bodies_only=True) for host, document in documents.items()}

    def run(self, cases: int, seed_: int) -> Report:
        """Send about so many cases."""
        begin = time.monotonic()
        pages = [(host, page) for host, pages in self._whole.items() for page in pages if page.method == "get"]
        for host, page in pages:
            _each(_at_host(host, page), max(3, int(cases * PAGES_SHARE) // len(pages)), seed_, self._page)
        turns = self._turns()
        batch = max(1, min(MOST_AT_A_TIME, cases // len(turns)))
        for number, strategy in enumerate(itertools.cycle(turns)):
            left = (cases - self.report.cases + 1) // 2
            if left <= 0 or len(self.report.problems) >= MOST_PROBLEMS:
                break
            _each(strategy, min(batch, left), f"{seed_} {number}", self._call)
        self.report.took_s = time.monotonic() - begin
        return self.report

    def _turns(self) -> list[st.SearchStrategy[tuple[str, AnyCase]]]:
        """Every POST in four ways, one way after the other: three as its document says, one not."""
        positive, negative = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
        ways = ((self._bare, positive), (self._bare, negative), (self._whole, positive), (self._bare, positive))
        turns = []
        for operations, mode in ways:
            posts = [(host, post) for host, posts in operations.items() for post in posts if post.method == "post"]
            self._rng.shuffle(posts)
            turns += [_at_host(host, post, mode) for host, post in posts]
        return turns

    # --- one case ---

    def _page(self, host: str, case: AnyCase) -> None:
        url = self._hosts[host]
        if "household" in case.path_parameters and self._rng.random() < 0.5:
            case.path_parameters["household"] = host
        headers = self._reader if self._rng.random() < READERS_SHARE else {}
        request = requests.Request(case.method, url + case.formatted_path, headers=headers)
        answer = self._send(f"GET {case.path}", "pages", request, stream=True)
        if answer is None:
            return
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            with answer:  # never ends by itself
                next(answer.iter_lines())
            return
        text = answer.text  # to its end, so that the connection serves the next
        if case.path_parameters and answer.status_code in (307, 404):
            return
        if answer.status_code >= 500:
            self._tell(request, f"HTTP {answer.status_code}: {text[:300]}")
            return
        try:
            case.validate_response(answer, checks=[response_schema_conformance, status_code_conformance])
        except AssertionError as error:
            self._tell(request, str(error))

    def _call(self, host: str, case: AnyCase) -> None:
        rng, name = self._rng, case.path.rpartition("/")[2]
        if "household" in case.path_parameters and rng.random() < 0.95:
            case.path_parameters["household"] = host
        url = self._hosts[host] + case.formatted_path
        body = _body(case)
        self._post(name, "random", url, body, unsigned_headers(self._trader, body, rng))
        generated = parsed(body)
        signer = self._trader.me
        if name == "subscribe":
            body, signer = json.dumps(signed_entry(self._trader, generated, rng)).encode(), self._registrar
        elif name == "drain":
            signer = self._registrar
            if isinstance(generated, dict) and "draining" in generated:
                # Mostly back: who drains closes its account, and then answers nobody.
                body = json.dumps({**generated, "draining": rng.random() < 0.1}).encode()
        elif name in ("decide", "correct", "forget"):
            signer = self._registrar
            called = {"subscriber_id": f"{host}.default"}
            body = json.dumps({**generated, **called} if isinstance(generated, dict) else generated).encode()
        elif name in ("close", "checkpoint", "evidence"):
            parties = {"party": signer.subscriber_id, "counterparty": f"{host}.default"}
            body = json.dumps({**generated, **parties} if isinstance(generated, dict) else generated).encode()
        elif name != "lookup":
            to, message = signed_message(self._trader, name, host, generated, rng)
            if to in self._hosts and to != host:
                url = f"{self._hosts[to]}/{to}/{name}"
            body = json.dumps(message).encode()
        self._post(name, "signed", url, body, self._trader.signed(body, signer))

    def _post(self, name: str, campaign: str, url: str, body: bytes, headers: dict[str, str]) -> None:
        request = requests.Request("POST", url, headers, data=body)
        answer = self._send(f"POST {name}", campaign, request)
        problem = None if answer is None else problem_of(url, answer)
        if problem:
            self._tell(request, problem)

    def _send(
        self, operation: str, campaign: str, request: requests.Request, *, stream: bool = False
    ) -> requests.Response | None:
        begin = time.monotonic()
        prepared = self._session.prepare_request(request)
        send = partial(self._session.send, prepared, timeout=TIMEOUT_S, allow_redirects=False, stream=stream)
        try:
            try:
                answer = send()
            except requests.ConnectionError:
                answer = send()  # a kept-alive connection may be closed just as it is used; a message may come twice
        except requests.RequestException as error:
            self._tell(request, f"no answer: {error}")
            return None
        row = self.report.rows[operation, campaign]
        row.statuses[answer.status_code] += 1
        row.slowest_s = max(row.slowest_s, time.monotonic() - begin)
        return answer

    def _tell(self, request: requests.Request, problem: str) -> None:
        headers = " ".join(f"-H '{name}: {value!s}'" for name, value in (request.headers or {}).items())
        self.report.problems.append(
            f"{problem}\n  curl -X {request.method} {request.url!r} {headers} --data-binary {request.data!r}"
        )


def _operations(document: dict[str, Any], *, bodies_only: bool) -> list[Operation]:
    lean = lean_document(document, bodies_only=bodies_only)
    return [found.ok() for found in schemathesis.openapi.from_dict(lean).get_all_operations() if isinstance(found, Ok)]


def _at_host(
    host: str, operation: Operation, mode: GenerationMode = GenerationMode.POSITIVE
) -> st.SearchStrategy[tuple[str, AnyCase]]:
    return operation.as_strategy(generation_mode=mode).map(lambda case: (host, case))


def _each(strategy: st.SearchStrategy[tuple[str, AnyCase]], most: int, seed_: object, send: Any) -> None:
    """Send what is generated. Nothing is shrunk: a street is never twice in the same state."""

    @seed(seed_)
    @settings(
        max_examples=most,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(where: tuple[str, AnyCase]) -> None:
        send(*where)

    each()


def _body(case: AnyCase) -> bytes:
    """What schemathesis would send."""
    sent = case.as_transport_kwargs(base_url="http://street")
    body = requests.Request("POST", "http://street", data=sent.get("data"), json=sent.get("json")).prepare().body
    assert body is None or isinstance(body, (str, bytes))
    return body.encode() if isinstance(body, str) else body or b""


# --- around it ---


@contextmanager
def _process(state: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.street", str(state)],
            cwd=ROOT, env={**os.environ, "LOG_FORMAT": "json"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the street did not start: {log.read_text(encoding='utf-8')[-2000:]}")
        try:
            yield process, json.loads(line)
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _register(session: requests.Session, trader: Trader, registrar: Signer) -> None:
    now = SystemClock().wall()
    for role in ("BAP", "BPP"):
        entry = entry_at(now, trader.me, role, feeder="main", url=trader.url)
        body = entry.model_dump_json(exclude_none=True).encode()
        url = f"{trader.gateway}/subscribe"
        session.post(url, data=body, headers=trader.signed(body, registrar), timeout=TIMEOUT_S).raise_for_status()


def _well(session: requests.Session, hosts: dict[str, str]) -> list[str]:
    """What is wrong with the process now."""
    problems = []
    for host, url in hosts.items():
        for page in ("live", "ready"):
            answer = session.get(f"{url}/health/{page}", timeout=TIMEOUT_S)
            if answer.status_code != 200:
                problems.append(f"{host} is not {page}: {answer.text}")
        metrics = session.get(f"{url}/metrics", timeout=TIMEOUT_S).text.splitlines()
        faults = [line for line in metrics if line.startswith("wattmesh_faults_total ")]
        if host != "gateway" and faults != ["wattmesh_faults_total 0.0"]:
            problems.append(f"{host} counts faults: {faults}")
    return problems


def _logged(log: Path) -> list[str]:
    """Errors in the log, which has one JSON object a line."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [f"logged: {entry['message']}" for entry in entries if entry["level"] in ("error", "critical")]


def fuzz(cases: int, seed_: int) -> Report:
    """Fuzz a street of its own with about so many cases."""
    with tempfile.TemporaryDirectory() as folder:
        state, log = Path(folder) / "state", Path(folder) / "log"
        with _process(state, log) as (process, where):
            keys = read_keys(state / "keys.json")
            hosts = {"gateway": where["gateway"], **where["pods"]}
            me = derived_signers([PUPPET], seed_)[PUPPET]
            trader = Trader(me, keys[STREET.subscriber_id], where["gateway"], where["pods"], seed_)
            with listening(trader), requests.Session() as session:
                session.trust_env = False
                _register(session, trader, keys[REGISTRAR])
                report = Campaign(where, trader, keys[REGISTRAR], seed_).run(cases, seed_)
                report.problems += _well(session, hosts)
            if process.poll() is not None:
                report.problems.append(f"the process ended with {process.returncode}")
        report.problems += _logged(log)
        # Of what it has closed the trader says anything, and one pod is told to forget it while others are not.
        told = ("closing-record", "forgotten")
        found = [finding for finding in findings(read_books(state)) if finding.kind not in told]
        report.problems += [f"audit: {finding}" for finding in found]
    return report


def main() -> None:
    """Print the table; exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    report = fuzz(options.cases, options.seed)
    sys.stdout.write(f"{report.table()}, seed {options.seed}\n")
    if report.problems:
        sys.stdout.write("\n\n".join(["", *report.problems]) + "\n")
        sys.stdout.write(
            f"\n{len(report.problems)} problems; again: make fuzz CASES={options.cases} SEED={options.seed}\n"
        )
        raise SystemExit(1)


if __name__ == "__main__":
    main()
