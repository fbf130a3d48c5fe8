"""`wattmesh backup` and `restore`: of a live street, and of a cluster behind a kubectl that runs the pods' commands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.kubernetes_objects import deployment, listing, pod
from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_cli.main import app
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
START = STREET.resource.spec.clock.start.timestamp()
PODS = ["flat-pod-0", "roof-0", "utility"]
SPEED = 300


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    [line] = result.stderr.splitlines()
    return line.removeprefix("wattmesh: ")


def sold(database: Path) -> int:
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as file:
        found: int = file.execute("SELECT count(*) FROM contracts WHERE side = 'seller'").fetchone()[0]
    return found


async def trade(state: Path, slots: int, backup: Path | None = None) -> None:
    """Let the street trade; a backup is made in the middle."""
    with locked(state):
        async with running_street(STREET, state, speed=SPEED, last_for=slots * 900) as street:
            if backup is not None:
                await street.pods["roof-0"].grid.sleep_until(START + 2.5 * 900)
                made = await asyncio.to_thread(run, "backup", backup, "--state", state)
                assert made.exit_code == 0, made.output
                assert made.stdout == f"{backup}: 3 pods with the books of 4 parties\n"
            await street.until_end()
            await street.finish(20.0)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a state directory `state`, and a backup `backup` that was made of it while it traded."""
    folder = tmp_path_factory.mktemp("backup")
    asyncio.run(trade(folder / "state", 6, folder / "backup"))
    return folder


@pytest.fixture
def folder(traded: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(traded, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_backup_is_its_owners_only_and_has_all_that_a_street_needs(traded: Path) -> None:
    backup = traded / "backup"
    assert backup.stat().st_mode & 0o777 == 0o700
    databases = [f"{name}.db" for name in PODS]
    others = ["backup.json", "clock.json", "gateway.db", "keys.json", "street.json", "token"]
    assert sorted(path.name for path in backup.iterdir()) == sorted(databases + others)
    contents = json.loads((backup / "backup.json").read_text())
    assert contents["pods"]["flat-pod-0"]["parties"] == ["flat-0.default", "flat-1.default"]


def stood(state: Path, seconds: int) -> None:
    """As if the street had stopped so long ago."""
    for path in (state / "agents").glob("*.db"):
        with closing(sqlite3.connect(path)) as file:
            file.execute("UPDATE evidence SET received_ms = received_ms - ?", (seconds * 1000,))
            file.commit()


@pytest.mark.parametrize("stood_s", [0, 86_400])
def test_one_pod_is_restored_and_learns_what_it_has_sold_since(folder: Path, stood_s: int) -> None:
    state, database = folder / "state", folder / "state" / "agents" / "roof-0.db"
    before = sold(database)
    restored = run("restore", folder / "backup", "roof-0", "--state", state)
    assert restored.exit_code == 0, restored.output
    assert restored.stdout.startswith("roof-0: as of ")
    assert sold(database) < before
    stood(state, stood_s)

    asyncio.run(trade(state, 2))

    assert sold(database) >= before
    audited = run("audit", "--state", state)
    assert audited.exit_code == 0, audited.output


def test_a_state_directory_that_is_lost_is_restored_whole(folder: Path) -> None:
    state = folder / "anew"
    restored = run("restore", folder / "backup", "--state", state)
    assert restored.exit_code == 0, restored.output
    assert (state / "keys.json").stat().st_mode & 0o777 == 0o600
    assert sold(state / "agents" / "roof-0.db") >= 2

    asyncio.run(trade(state, 2))

    audited = run("audit", "--state", state)
    assert audited.exit_code == 0, audited.output


def test_what_cannot_be_done_is_said(folder: Path) -> None:
    state, backup = folder / "state", folder / "backup"
    assert refused(run("backup", backup, "--state", state)) == (
        f"{backup}: there is something in it; name a new folder"
    )
    assert refused(run("restore", backup, "flat-1", "--state", state)) == (
        f"{backup}: no pod flat-1 in this backup; there are flat-pod-0 (flat-0, flat-1), roof-0, utility"
    )
    assert refused(run("restore", backup, "-n", "street")) == (
        "--namespace, --all-namespaces and --context need --kubernetes"
    )
    with locked(state):
        text = refused(run("restore", backup, "--state", state))
        assert text == f"{state}: a street is running on it already; stop it, or name another --state"
    (backup / "utility.db").write_bytes(b"")
    text = refused(run("restore", backup, "--state", state))
    assert text == f"{backup / 'utility.db'}: not as it was written; take another backup"
    (backup / "utility.db").unlink()
    assert refused(run("restore", backup, "--state", state)) == f"{backup}: no whole backup, utility.db is missing"
    assert refused(run("restore", folder)) == f"{folder}: no whole backup, backup.json is missing"


def test_urls_are_of_any_file_system_that_fsspec_knows(folder: Path) -> None:
    url = f"file://{folder}/far/away"
    made = run("backup", url, "--state", folder / "state")
    assert made.stdout == f"{url}: 3 pods with the books of 4 parties\n", made.output
    assert refused(run("backup", url, "--state", folder / "state")) == (
        f"{url}: there is something in it; name a new folder"
    )
    restored = run("restore", url, "--state", folder / "anew")
    assert restored.exit_code == 0, restored.output
    assert sold(folder / "anew" / "agents" / "roof-0.db") == sold(folder / "state" / "agents" / "roof-0.db")
    assert refused(run("restore", "nothing://there")).startswith("nothing://there: ")


KUBECTL = '''#!{python}
"""kubectl of a cluster whose pods' volumes are folders beside it."""
import json, subprocess, sys
from pathlib import Path

here = Path(__file__).parent
verb, *arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(" ".join([verb, *[word for word in arguments[:2] if word.endswith("-x1")]]) + "\\n")
if verb == "get":
    print((here / "list.json").read_text())
elif verb == "exec":
    name, command = arguments[0], arguments[arguments.index("--") + 1:]
    assert command[:3] == ["python", "-m", "wattmesh_agents.backup"] and command[-1] == "/data/ledger.db", command
    code = subprocess.call([sys.executable, *command[1:-1], str(here / name / "ledger.db")])
    if code:
        print("command terminated with exit code", code, file=sys.stderr)
    sys.exit(code)
'''


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The street's pods in a cluster."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "kubectl").write_text(KUBECTL.format(python=sys.executable))
    (bin_ / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    (bin_ / "list.json").write_text(json.dumps(listing(*[of(name) for of in (deployment, pod) for name in PODS])))
    for name in PODS:
        (bin_ / f"{name}-x1").mkdir()
        shutil.copyfile(folder / "state" / "agents" / f"{name}.db", bin_ / f"{name}-x1" / "ledger.db")
    return bin_


def test_the_pods_of_a_cluster_are_copied_and_restored_by_a_command_in_them(cluster: Path, folder: Path) -> None:
    database = cluster / "roof-0-x1" / "ledger.db"
    before = sold(database)
    made = run("backup", folder / "far", "--kubernetes")
    assert made.stdout == f"{folder / 'far'}: 3 pods with the books of 4 parties\n", made.output
    assert sorted(path.name for path in (folder / "far").iterdir()) == ["backup.json", *(f"{name}.db" for name in PODS)]
    (cluster / "calls").unlink()
    for name in PODS:
        (cluster / f"{name}-x1" / "ledger.db").unlink()

    restored = run("restore", folder / "far", "--kubernetes")

    assert restored.exit_code == 0, restored.output
    assert sold(database) == before
    # None is started before all have let go.
    verbs = [line.split()[0] for line in (cluster / "calls").read_text().splitlines()]
    assert verbs == ["get", *["exec"] * 3, *["delete"] * 3]


def test_one_pod_of_a_cluster_is_restored_whatever_becomes_of_the_others(cluster: Path, folder: Path) -> None:
    assert run("backup", folder / "far", "--kubernetes").exit_code == 0
    (cluster / "list.json").write_text(json.dumps(listing(*map(deployment, PODS), pod("roof-0"))))
    (cluster / "calls").unlink()

    restored = run("restore", folder / "far", "roof-0", "--kubernetes")
    assert restored.exit_code == 0, restored.output
    assert (cluster / "calls").read_text().splitlines() == ["get", "exec roof-0-x1", "delete roof-0-x1"]

    text = refused(run("restore", folder / "far", "utility", "--kubernetes"))
    assert text == "default/utility: this Deployment has no pod; it must run to take its books"


def test_a_pod_that_refuses_a_copy_keeps_its_books(cluster: Path, folder: Path) -> None:
    assert run("backup", folder / "far", "--kubernetes").exit_code == 0
    shutil.copyfile(cluster / "utility-x1" / "ledger.db", cluster / "roof-0-x1" / "ledger.db")
    (cluster / "calls").unlink()
    text = refused(run("restore", folder / "far", "roof-0", "--kubernetes"))
    assert "has the books of roof-0.default, and here are those of utility.default" in text
    assert "delete" not in (cluster / "calls").read_text()
