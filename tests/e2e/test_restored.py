"""Volumes that are restored from old copies come out right by what partners hold signed; backups are restored."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from docs.generate.sources import DOCS
from tests.docs.pages import blocks
from tests.e2e.kube import Kube, until
from tests.e2e.market import Books, audit_findings, books, open_street, uid_of_pod, wattmesh

pytestmark = pytest.mark.e2e

POD = "rooftop-0"
PODS = ("flat-pod-0", POD, "utility")
COPY = "import sqlite3; sqlite3.connect('/data/ledger.db').backup(sqlite3.connect('/data/copy.db'))"
PUT_BACK = (
    "import os; os.replace('/data/copy.db', '/data/ledger.db'); "
    "[os.remove(f'/data/ledger.db-{end}') for end in ('wal', 'shm') if os.path.exists(f'/data/ledger.db-{end}')]"
)


@pytest.fixture(scope="module")
def drill(cluster: Kube) -> Iterator[Kube]:
    """A street of its own, with a roof, three flats in one pod, and their utility."""
    kube = cluster.of("drill")
    kube.make()
    open_street(kube)
    yield kube
    kube.leave()


def sales(kube: Kube) -> dict[tuple[str, int], int]:
    """What the roof has sold and been paid for: transaction and slot → amount (millionths)."""
    return _sales(books(kube, POD))


def _sales(of: Books) -> dict[tuple[str, int], int]:
    return {(row["transaction_id"], row["slot"]): row["amount_micro"] for row in of.settled("seller")}


def sells_more(kube: Kube, than: int, slots: int = 2) -> dict[tuple[str, int], int]:
    """Wait until the roof has been paid for so many more; what it has sold then."""
    return until("it sells more", lambda: found if len(found := sales(kube)) >= than + slots else None)


def is_right_again(kube: Kube, sold: dict[tuple[str, int], int]) -> None:
    """The roof knows again what it has sold, nothing is wrong, and trade goes on."""
    until("it knows all that it has sold", lambda: sold.items() <= sales(kube).items())
    until("the audit finds nothing", lambda: audit_findings(kube) == [])
    sells_more(kube, len(sales(kube)), 1)


def test_a_volume_that_is_put_back_takes_over_what_its_household_has_signed_since(
    drill: Kube, measured: list[str]
) -> None:
    drill("exec", f"deployment/{POD}", "--", "python", "-c", COPY)
    sold, pod = sells_more(drill, len(sales(drill))), uid_of_pod(drill, POD)

    drill("exec", f"deployment/{POD}", "--", "python", "-c", PUT_BACK)
    drill("delete", "pods", "--selector", f"wattmesh.io/pod={POD}", "--grace-period=0", "--force")
    until("the pod is another", lambda: uid_of_pod(drill, POD) != pod)
    began = time.monotonic()
    drill.ready("solaragent/rooftop")

    until("it says so", lambda: "its books were older" in drill("logs", f"deployment/{POD}"))
    is_right_again(drill, sold)
    measured.append(f"a volume from an old copy → its books are right again: {time.monotonic() - began:.1f} s")


def test_a_household_whose_volume_is_lost_is_restored_from_a_backup(
    drill: Kube, measured: list[str], tmp_path: Path
) -> None:
    began = time.monotonic()
    said = wattmesh(drill, "backup", tmp_path / "backup")
    assert said == f"{tmp_path / 'backup'}: 3 pods with the books of 5 parties\n"
    measured.append(f"a backup of 3 pods: {time.monotonic() - began:.1f} s")
    sold, pod = sells_more(drill, len(sales(drill))), uid_of_pod(drill, POD)

    drill("delete", "pvc", POD, "--wait=false")
    drill("delete", "pods", "--selector", f"wattmesh.io/pod={POD}", "--grace-period=0", "--force")
    until("it runs on a new volume", lambda: uid_of_pod(drill, POD) != pod and books(drill, POD).parties)
    began = time.monotonic()
    wattmesh(drill, "restore", tmp_path / "backup", POD)

    is_right_again(drill, sold)
    measured.append(f"a lost volume restored from a backup → its books are right: {time.monotonic() - began:.1f} s")


def test_a_whole_market_is_restored_from_a_backup(drill: Kube, measured: list[str], tmp_path: Path) -> None:
    kept = len(sales(drill))
    wattmesh(drill, "backup", tmp_path / "backup")
    until("it sells in two slots more", lambda: len(sales(drill)) >= kept + 2)
    pods = {name: uid_of_pod(drill, name) for name in PODS}

    for name in PODS:
        drill("delete", "pvc", name, "--wait=false")
    drill("delete", "pods", "--selector", f"wattmesh.io/pod in ({', '.join(PODS)})", "--grace-period=0", "--force")
    for name, uid in pods.items():
        until("it runs on a new volume", lambda n=name, u=uid: uid_of_pod(drill, n) != u and books(drill, n).parties)  # type: ignore[misc]
    began = time.monotonic()
    wattmesh(drill, "restore", tmp_path / "backup")

    until("it has its sales of before", lambda: len(sales(drill)) >= kept)
    until("the audit finds nothing", lambda: audit_findings(drill) == [])
    sells_more(drill, len(sales(drill)))
    assert audit_findings(drill) == []
    measured.append(f"a market restored from a backup → it trades and is right: {time.monotonic() - began:.1f} s")


def test_the_nightly_copy_of_the_documentation_is_made_and_put_back(drill: Kube) -> None:
    [cron_job] = [
        yaml.safe_load(block.text) for block in blocks(DOCS / "how-to" / "backup.md", "yaml") if "CronJob" in block.text
    ]
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    [container] = template["spec"]["containers"]
    container["image"] = f"wattmesh/runtime:{os.environ['E2E_TAG']}"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}}
    kind, name = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}, {"name": "backups"}
    drill.apply({**kind, "metadata": name, "spec": claim}, cron_job)
    drill("create", "job", "tonight", f"--from=cronjob/{cron_job['metadata']['name']}")
    drill("wait", "job/tonight", "--for=condition=Complete", "--timeout=120s")
    sold, pod = sells_more(drill, len(sales(drill))), uid_of_pod(drill, POD)

    take = container["command"]
    container["command"] = [*take[:3], "put", "--from", take[-1], take[4]]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "back"}, "spec": {"template": template}}
    drill.apply(job)
    drill("wait", "job/back", "--for=condition=Complete", "--timeout=120s")
    drill("delete", "pods", "--selector", f"wattmesh.io/pod={POD}")

    until("the pod is another", lambda: uid_of_pod(drill, POD) != pod)
    is_right_again(drill, sold)
    drill("delete", "cronjob,job", "--all")
    drill("delete", "pvc", "backups", "--wait=false")
