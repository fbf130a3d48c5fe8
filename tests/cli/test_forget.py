"""`wattmesh forget`: of a state directory whose street is stopped, and of a cluster through its pods."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.cli.kubernetes_objects import deployment, listing, pod
from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_cli.books import FORGOTTEN as IN_BOOKS
from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.forget import forget
from wattmesh_cli.cluster.pods import PodName
from wattmesh_cli.forgetting import Forgets, Leaver
from wattmesh_cli.main import app
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_common.forget import FORGOTTEN
from wattmesh_operator.plan import GatewayPlan

ROOF = households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
SHARED = "householdsPerPod: 2, load: {annualKwh: 6000}"
STREET = planned(MARKET + utility(more=", sharing: {}") + ROOF + households("flat", SHARED, replicas=2))
WITHOUT_FLAT = planned(MARKET + utility(more=", sharing: {}") + ROOF + households("flat", SHARED))
WITHOUT_ROOF = planned(MARKET + utility(more=", sharing: {}") + households("flat", SHARED, replicas=2))
SPEED = 1800


def run(*arguments: str | Path, said: str = "") -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], input=said)


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    [line] = result.stderr.splitlines()
    return line.removeprefix("wattmesh: ")


async def trade(plan: GatewayPlan, state: Path, slots: int) -> None:
    with locked(state):
        async with running_street(plan, state, speed=SPEED, last_for=slots * 900) as street:
            await street.until_end()
            await street.finish(20.0)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose street came to its end, so that everything in it is settled."""
    state = tmp_path_factory.mktemp("settled") / "state"
    asyncio.run(trade(STREET, state, 8))
    return state


def left(settled: Path, folder: Path, plan: GatewayPlan) -> Path:
    """A copy of it that went on without a household."""
    state = folder / "state"
    shutil.copytree(settled, state)
    asyncio.run(trade(plan, state, 2))
    return state


def audited(state: Path) -> dict[str, Any]:
    result = run("audit", "--state", state, "--output", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def balances(state: Path) -> dict[str, object]:
    rows = json.loads(run("status", "--state", state, "--output", "json").stdout)
    return {row["party"]: (row["balance"], row["bought_kwh"], row["sold_kwh"]) for row in rows}


def kpis(state: Path, household: str) -> dict[str, object]:
    """What a household has of its neighbours, and pays."""
    found = json.loads(run("kpis", "--state", state, "--output", "json").stdout)
    [mine] = [one for one in found["households"] if one["party"] == household]
    return {name: mine[name] for name in ("bill", "local_kwh", "autarky")}


def in_databases(state: Path, name: str) -> list[str]:
    return [path.name for path in (state / "agents").glob("*") if name.encode() in path.read_bytes()]


def test_the_marker_is_one() -> None:
    assert IN_BOOKS == FORGOTTEN


def test_a_household_of_a_shared_pod_is_shown_asked_for_and_forgotten(settled: Path, tmp_path: Path) -> None:
    state = left(settled, tmp_path, WITHOUT_FLAT)
    before = balances(state)
    asked = run("forget", "flat-1", "--state", state, said="n\n")
    assert asked.exit_code == 1
    assert "Forget flat-1.default for good?" in asked.stderr
    assert {"utility", "flat-pod-0"} <= {line.split()[0] for line in asked.stdout.splitlines()}
    assert balances(state) == before
    done = run("forget", "flat-1", "--state", state, "--yes", "--output", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["household"], told["wiped"]) == ("flat-1.default", True)
    assert {row["party"] for row in told["rows"]} >= {"flat-1.default", "utility.default"}
    assert in_databases(state, "flat-1") == []
    assert balances(state) == before
    assert audited(state)["closings_with_forgotten"] > 0
    assert "shares of" in run("audit", "--state", state).stdout
    again = run("forget", "flat-1.default", "--state", state)
    assert (again.exit_code, again.stdout) == (0, "nothing is kept of flat-1.default\n")
    assert "no book names it" in refused(run("forget", "flat-1", "--state", state))
    asyncio.run(trade(WITHOUT_FLAT, state, 2))
    assert audited(state)["deliveries_checked"] > 0


def test_with_a_seller_its_own_database_goes_and_buyers_keep_what_they_bought(settled: Path, tmp_path: Path) -> None:
    state = left(settled, tmp_path, WITHOUT_ROOF)
    before, had = balances(state), kpis(state, "flat-0.default")
    done = run("forget", "roof-0", "--state", state, "-y")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "roof-0.default is forgotten"
    assert sorted(path.name for path in (state / "agents").glob("*.db")) == ["flat-pod-0.db", "utility.db"]
    assert in_databases(state, "roof-0") == []
    assert balances(state) == before
    assert kpis(state, "flat-0.default") == had
    assert float(str(had["local_kwh"])) > 0
    assert audited(state)["deliveries_with_forgotten"] > 0
    assert "forgotten" in run("contracts", "--state", state).stdout
    assert run("report", "--save", tmp_path / "report.html", "--state", state).exit_code == 0
    evidence = run("evidence", contracts_of(state)[0], "--state", state)
    assert "no contract" not in evidence.output


def contracts_of(state: Path) -> list[str]:
    rows = json.loads(run("contracts", "--state", state, "--output", "json").stdout)
    return [row["transaction_id"] for row in rows if FORGOTTEN in (row["seller"], row["buyer"])]


def test_what_it_cannot_forget_it_says_with_what_to_do(settled: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(settled, state)
    assert "has not left: delete its SolarAgent" in refused(run("forget", "roof-0", "--state", state))
    assert "no book names it" in refused(run("forget", "barn-0", "--state", state))
    with locked(state):
        assert "running on it already" in refused(run("forget", "barn-0.default", "--state", state))
    own = left(settled, tmp_path / "lost", WITHOUT_ROOF)
    for file in (own / "agents").glob("roof-0.db*"):
        file.unlink()
    text = refused(run("forget", "roof-0", "--state", own, "--yes"))
    assert "has no closing record of all that is booked with it" in text
    assert run("forget", "roof-0", "--state", own, "--yes", "--lost").exit_code == 0


class Cluster:
    """A cluster whose pods are those of a street on this machine."""

    def __init__(self, urls: Mapping[str, str], keys: bytes) -> None:
        self._urls = urls
        self._keys = keys

    async def agents(self) -> Any:
        return listing()

    async def listing(self) -> Any:
        return listing(*[of(name) for of in (deployment, pod) for name in self._urls])

    async def secret(self, namespace: str, name: str) -> Any:
        assert (namespace, name) == ("default", "market-registrar")
        return {"metadata": {"name": name}, "data": {"keys.json": base64.b64encode(self._keys).decode()}}

    async def post(self, pod: PodName, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        async with httpx.AsyncClient() as client:
            url = self._urls[pod.name.removesuffix("-x1")]
            answer = await client.post(f"{url}{path}", content=body, headers=dict(headers))
        return answer.status_code, answer.content


def test_in_a_cluster_each_pod_is_told_by_its_registrar(settled: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(settled, state)
    asked = {"default/utility-x1": "utility.default", "default/flat-pod-0-x1": "flat-0.default"}
    leaver = Leaver("roof-0.default", lost=True, only_count=True, asked=asked)

    async def live() -> tuple[list[Forgets], ...]:
        with locked(state):
            async with running_street(WITHOUT_ROOF, state, speed=SPEED) as street:
                cluster = Cluster(
                    {name: pod.url for name, pod in street.pods.items()}, (state / "keys.json").read_bytes()
                )

                async def told(one: Leaver) -> list[Forgets]:
                    return [*await asyncio.to_thread(forget, cluster, one)]

                with pytest.raises(BooksError, match=r"default/flat-pod-0-x1: .*no closing record"):
                    await told(replace(leaver, lost=False))
                with pytest.raises(BooksError, match="this pod is new"):
                    await told(replace(leaver, asked={}))
                counted = await told(leaver)
                done = await told(replace(leaver, only_count=False))
                again = await told(replace(leaver, only_count=False))
                return counted, done, again

    counted, done, again = asyncio.run(live())
    assert [of.rows for of in counted] == [of.rows for of in done]
    assert {of.pod for of in done if of.rows} == {*asked}
    assert all(of.wiped for of in done)
    assert [of.rows for of in again] == [(), ()]
    assert in_databases(state, "roof-0") == ["roof-0.db"]
