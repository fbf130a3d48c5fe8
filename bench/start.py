"""What the start of each process takes: CPU time, which does not grow while others use the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.memory import agents_ready, market, ready
from bench.tables import Measured
from wattmesh_cli.street.keys import kept_signers, kept_token
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.runtime import REGISTRAR, ClockConfig, GatewayConfig

_RUNS = 5
_STREET = Path(__file__).parents[1] / "examples" / "street.yaml"
_WATTMESH = "from wattmesh_cli.main import app; app()"
_GATEWAY_PORT = 18_900
_REST_S = 1.0


def measure() -> list[Measured]:
    """A row for each process: the least of some runs, which others disturb the least."""
    starts: list[tuple[str, Callable[[], float]]] = [
        ("Python alone", lambda: _ended("pass")),
        ("`wattmesh --help`", lambda: _ended(_WATTMESH, "--help")),
        ("`wattmesh status --help`", lambda: _ended(_WATTMESH, "status", "--help")),
        ("`wattmesh validate` of a street", lambda: _ended(_WATTMESH, "validate", str(_STREET))),
        ("a gateway, until ready", _gateway),
        ("a pod of agents, until ready", lambda: _agents(at_rest=False)),
        ("the same, until its graph is there", lambda: _agents(at_rest=True)),
        ("the operator, imported", lambda: _ended("import wattmesh_operator.__main__")),
    ]
    rows = [(name, f"{min(start() for _ in range(_RUNS)):.2f}") for name, start in starts]
    return [Measured("start", ["process", "CPU s"], rows)]


def _ended(program: str, *arguments: str) -> float:
    """CPU time of a Python program from its start to its end."""
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments) or program}: ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _gateway() -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of = market(1)
        signers = kept_signers(folder / "keys.json", [*subscriber_ids(of), REGISTRAR])
        kept_token(folder / "token")
        registrar = signers[REGISTRAR]
        config = GatewayConfig(
            subscriber_id=of.subscriber_id,
            url=f"http://127.0.0.1:{_GATEWAY_PORT}",
            clock=ClockConfig(start=datetime.now(UTC), epoch=time.time(), speed=1),
            database=folder / "registry.db",
            registrar_keys={registrar.key_id: registrar.public_key},
        )
        (folder / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
        files = [part for file in ("config.json", "keys.json") for part in (f"--{file[:-5]}", str(folder / file))]
        with ready("wattmesh_gateway", [*files, "--token", str(folder / "token")], _GATEWAY_PORT) as process:
            return _used_s(process.pid)


def _agents(*, at_rest: bool) -> float:
    with agents_ready(1) as process:
        used = _used_s(process.pid)
        while at_rest:
            time.sleep(_REST_S)
            before, used = used, _used_s(process.pid)
            at_rest = used - before > _REST_S / 20
        return used


def _used_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields: Sequence[str] = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
