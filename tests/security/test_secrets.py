"""No private key and no signature shows anywhere: not in a log of any level, an HTTP answer, a repr or an error."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import logging
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.security.arena import Arena, arena
from tests.security.attacks import MALFORMED, SIGNATURE, enrol_cast
from tests.security.calls import BECKN, DRAIN, GATEWAY_SEARCH, SUBSCRIBE, sign, write
from tests.world.tokens import TOKEN
from wattmesh_agents.driver import Driver
from wattmesh_beckn.keys import KeyFileError, read_keys
from wattmesh_beckn.messages import read_call
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer, parse_header
from wattmesh_cli.state import StateError, locked
from wattmesh_cli.street.keys import kept_signers, kept_token
from wattmesh_common.logs import JsonFormatter, TextFormatter
from wattmesh_gateway.broadcast import Cast
from wattmesh_market.parties.events import Events
from wattmesh_operator.keys.key_files import KeysUnreadable, signers_of
from wattmesh_operator.scale_down.drain import Asked

PAGES = (
    "status",
    "roof-0/status",
    "contracts",
    "ledger",
    "metrics",
    "openapi.json",
    "docs",
    "health/live",
    "health/ready",
    "keys.json",
    "nowhere",
)
NAMED = {target.name: target for target in BECKN}
TRADES = [NAMED["on_update"], NAMED["update"], NAMED["update with a reading"]]
"""The ends of whole trades: the puppet sells, buys and reports."""
PACKAGES = ("agents", "beckn", "cli", "common", "gateway", "operator")


def seed_of(signer: Signer) -> bytes:
    return signer._private_key.private_bytes_raw()


def shapes_of(secret: bytes) -> set[str]:
    """How bytes may be written: raw, as Python shows them, hex, base64 with either alphabet."""
    plain, safe = base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()
    shown = repr(secret)[2:-1]
    return {secret.decode("latin-1"), shown, secret.hex(), secret.hex().upper(), plain.rstrip("="), safe.rstrip("=")}


def found(secrets: set[str], texts: Mapping[str, str]) -> list[str]:
    """Where a secret stands."""
    return [where for where, text in texts.items() if any(secret in text for secret in secrets)]


class _Log(logging.Handler):
    """Every record of every logger, in each of the forms that it may be written in."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        forms = (TextFormatter().format(record), JsonFormatter().format(record), logging.Formatter().format(record))
        self.texts[f"{len(self.texts)} {record.name}"] = "\n".join((*forms, repr(record.__dict__)))


@contextmanager
def logging_everything() -> Iterator[dict[str, str]]:
    handler, root = _Log(), logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield handler.texts
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@dataclass(frozen=True)
class Seen:
    """What a street let out while it traded, was attacked and broke: by where it was seen."""

    secrets: set[str]
    signatures: set[str]
    log: dict[str, str]
    answers: dict[str, str]
    reprs: dict[str, str]


@pytest.fixture(scope="module")
def seen() -> Seen:
    log: dict[str, str] = {}
    answers: dict[str, str] = {}
    reprs: dict[str, str] = {}
    secrets: set[str] = set()
    signatures: set[str] = set()

    async def play(folder: Path) -> None:
        async with arena(folder) as street:
            await enrol_cast(street)
            for target in (*TRADES, GATEWAY_SEARCH, SUBSCRIBE, DRAIN):
                await _trade_and_attack(street, target, answers)
            await _break(street, answers)
            await _look(street, answers)
            reprs.update(_reprs(street))
            for signer in street.signers.values():
                secrets.update(shapes_of(seed_of(signer)))
            secrets.update(shapes_of(TOKEN.text.encode()))
            for _, headers in street.wires.sent:
                for name in (AUTHORIZATION, GATEWAY_AUTHORIZATION):
                    if 'signature="' in (header := headers.get(name, "")):
                        signatures.add(header.rpartition('signature="')[2].strip('"').rstrip("="))
                        signatures.add(header)
            raw = parse_header(street.wires.sent[-1][1][AUTHORIZATION]).signature
            signatures.update(shapes_of(raw))

    with logging_everything() as told, tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
        log.update(told)
    return Seen(secrets, {text for text in signatures if len(text) > 60}, log, answers, reprs)


async def _trade_and_attack(street: Arena, target: Any, answers: dict[str, str]) -> None:
    good = await target.prepare(street)
    for attack in (*SIGNATURE, *MALFORMED):
        body, headers = attack.forge(street, good)
        reply = await street.wires.post(good.url, body, headers, timeout_s=5.0)
        answers[f"{target}: {attack}"] = f"{reply.body.decode()} {reply.headers}"
    body = write(good.call)
    reply = await street.wires.post(good.url, body, sign(street, good, body), timeout_s=5.0)
    assert reply.status == 200
    answers[str(target)] = f"{reply.body.decode()} {reply.headers}"
    await street.pass_time(1.0)


async def _break(street: Arena, answers: dict[str, str]) -> None:
    """A fault that tells all it knows of the message, as a careless error text would."""
    good = await BECKN[0].prepare(street)
    body = write(good.call)

    def fault(_: Driver, member: Events, received: Received) -> None:  # noqa: ARG001
        raise RuntimeError(f"cannot do {received!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, "receive", fault)
        reply = await street.wires.post(good.url, body, sign(street, good, body), timeout_s=5.0)
    assert reply.status == 500
    answers["a fault"] = f"{reply.body.decode()} {reply.headers}"


async def _look(street: Arena, answers: dict[str, str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as browser:
        for name, origin in street.wires.origins.items():
            for page in PAGES:
                page_answer = await browser.get(f"{origin}/{page}", headers=TOKEN.header)
                answers[f"{name}/{page}"] = f"{page_answer.text} {page_answer.headers}"
    reply = await street.wires.post("http://gateway/lookup", b"{}", {}, timeout_s=5.0)
    answers["lookup"] = reply.body.decode()


def _reprs(street: Arena) -> dict[str, str]:
    """What Python shows of everything that holds a key or a signature, or is made of one."""
    signer = street.puppet.me
    call = street.puppet.call("status", "roof-0", {"order_id": "x"}, "00000000-0000-4000-8000-000000000001")
    body = write(call)
    headers = street.puppet.signed(body)
    street.wires.sent.append(("repr", headers))
    header = parse_header(headers[AUTHORIZATION])
    entry: Subscription = street.entry(signer, "BAP")
    parsed = read_call("status", call)
    received = Received("status", parsed.context, parsed.message, entry, body, headers[AUTHORIZATION], header.expires)
    things: Sequence[object] = [
        signer,
        street.signers,
        header,
        received,
        entry,
        Cast(body, headers, 0.0),
        Asked("roof-0.default", "http://roof-0", signer),
        street.run.__dict__,
        street.run._ports,
        street.run._registrants,
        street.run.gateway.__dict__,
        street.run.gateway._config,
        *(pod.config for pod in street.run.pods.values()),
        *(pod.__dict__ for pod in street.run.pods.values()),
    ]
    return {f"{number} {type(thing).__name__}": f"{thing!r} {thing!s} {thing}" for number, thing in enumerate(things)}


def test_the_scan_finds_what_it_looks_for(seen: Seen) -> None:
    """It knows all keys and signatures, and there was enough to look through."""
    assert len(seen.secrets) > 80
    assert len(seen.signatures) > 200
    assert len(seen.log) > 100
    assert {text.partition(" ")[2].partition(".")[0] for text in seen.log} >= {"wattmesh_agents", "httpx", "uvicorn"}
    one = next(iter(seen.signatures))
    assert found(seen.signatures, {"here": f"…{one}…"}) == ["here"]
    assert found(shapes_of(b"\x00key" * 8), {"here": repr([b"\x00key" * 8])}) == ["here"]
    assert "quoted" in "".join(seen.log.values())
    assert any(text.startswith('{"message":{"ack":{"status":"NACK"}') for text in seen.answers.values())
    assert '"balance_micro"' in seen.answers["roof-0/status"]
    assert '"contracts"' in seen.answers["roof-0/ledger"]
    assert "wattmesh_messages_received_total" in seen.answers["roof-0/metrics"]
    assert "/{household}/drain" in seen.answers["roof-0/openapi.json"]


@pytest.mark.parametrize("where", ["log", "answers", "reprs"])
def test_no_private_key_shows(seen: Seen, where: str) -> None:
    assert found(seen.secrets, getattr(seen, where)) == []


@pytest.mark.parametrize("where", ["log", "answers", "reprs"])
def test_no_signature_shows(seen: Seen, where: str) -> None:
    assert found(seen.signatures, getattr(seen, where)) == []


def _damaged(file: bytes) -> Iterator[bytes]:
    """A key file, broken in every way in which a hand may break it."""
    keys = json.loads(file)
    name = sorted(keys)[0]
    key = keys[name]
    for changed in (
        {**key, "private_key": key["private_key"][:-4]},
        {**key, "private_key": f"*{key['private_key']}"},
        {**key, "private_key": [key["private_key"]]},
        {**key, "key_id": key["private_key"]},
        {"private_key": key["private_key"]},
        key["private_key"],
    ):
        yield json.dumps({**keys, name: changed}).encode()
    yield json.dumps([keys]).encode()
    yield file[:-20]
    yield file.replace(b'"private_key": "', b'"private_key": ')


def test_a_broken_key_file_is_refused_without_showing_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    signers = kept_signers(path, ["roof-0.default", "flat-0.default"])
    parts = {shape[:20] for signer in signers.values() for shape in shapes_of(seed_of(signer))}
    for number, broken in enumerate(_damaged(path.read_bytes())):
        path.write_bytes(broken)
        with pytest.raises(KeyFileError) as refused:
            read_keys(path)
        secret = {"metadata": {"name": "keys"}, "data": {"keys.json": base64.b64encode(broken).decode()}}
        texts = {f"{number} file": "".join(traceback.format_exception(refused.value)) + repr(refused.value)}
        try:
            signers_of(secret)
        except KeysUnreadable as error:
            texts[f"{number} secret"] = "".join(traceback.format_exception(error)) + repr(error)
        assert found(parts, texts) == []


def test_only_the_owner_may_read_keys_and_token_and_the_directory_with_the_books(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    with locked(state):
        kept_signers(state / "keys.json", ["roof-0.default"])
        token = kept_token(state / "token")
    assert [path.stat().st_mode & 0o777 for path in (state, state / "keys.json", state / "token")] == [
        0o700,
        0o600,
        0o600,
    ]
    assert kept_token(state / "token") == token
    (state / "token").chmod(0o640)
    with pytest.raises(StateError, match=r"token: others may read it \(mode 640\); delete it, and a new one is made"):
        kept_token(state / "token")


# --- no secret is compared ---

SECRET_NAMES = ("seed", "private", "secret", "signature", "password", "token", "authorization")


def _compared(tree: ast.AST) -> Iterator[str]:
    """Names and attributes that are compared for equality, but for constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            for side in (node.left, *node.comparators):
                name = getattr(side, "attr", getattr(side, "id", ""))
                if name and not name.isupper():
                    yield name


def test_no_secret_is_compared_byte_by_byte() -> None:
    """Signatures are verified by Ed25519, whose inputs are all public, and of reading tokens digests are compared, in
    constant time. So there is no comparison whose time could tell anything, and none may come to be.
    """
    assert list(_compared(ast.parse("header.signature == other"))) == ["signature", "other"]
    root = Path(__file__).parents[2]
    files = [file for name in PACKAGES for file in (root / name).rglob("*.py")]
    assert len(files) > 100
    secrets = [
        f"{file.relative_to(root)}: {name}"
        for file in files
        for name in _compared(ast.parse(file.read_text()))
        if any(part in name.lower() for part in SECRET_NAMES)
    ]
    assert secrets == []
