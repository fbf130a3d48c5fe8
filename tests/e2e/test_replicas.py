"""A gateway of two replicas on PostgreSQL: either may be killed or replaced while the street trades."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.killing import delete_by_force
from tests.e2e.kube import CommandFailed, Kube, Object, command, until
from tests.e2e.market import audit_findings, books, counted, gateway, late, open_lane, registered

pytestmark = pytest.mark.e2e

SERVER = Path(__file__).parent / "postgresql"
IMAGE = "wattmesh/postgresql:e2e"
KILLED_EVERY_S = 20.0
KILLS = 6
QUIET_S = 30.0
PODS = "wattmesh.io/pod=market"
BUYERS = ("consumer-0", "utility")
ASKING = """
import sys, time, urllib.request
began = last = time.monotonic()
longest = 0.0
while last - began < float(sys.argv[1]):
    try:
        urllib.request.urlopen("http://market:8080/health/ready", timeout=1).read()
    except OSError:
        continue
    now = time.monotonic()
    longest, last = max(longest, now - last), now
    time.sleep(0.1)
print(longest)
"""
"""What an agent's pod runs: for how long nobody has answered it at most, though it tried again at once."""


def server(password: str) -> list[Object]:
    """A PostgreSQL with its Service and its Secret."""
    name, labels = {"name": "pg"}, {"app": "pg"}
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "password"}}}],
        "securityContext": restricted,
        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in (("data", "/data"), ("tmp", "/tmp"))],  # noqa: S108
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    secret = {"password": password, "uri": f"postgresql://wattmesh:{password}@pg/postgres"}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": name, "stringData": secret},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name,
            "spec": {"selector": labels, "ports": [{"port": 5432}]},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": spec},
    ]


def replicated(**spec: object) -> Object:
    """The gateway, on two pods that share that database; a search has 3.6 s to reach one, also on a busy machine."""
    market = gateway(speed=30)
    market["spec"] |= {"replicas": 2, "database": {"secretRef": {"name": "pg"}}, **spec}
    return market


@pytest.fixture(scope="module")
def shared(cluster: Kube) -> Iterator[Kube]:
    """A seller, a buyer and a utility whose gateway has two pods."""
    kube = cluster.of("shared")
    command("docker", "build", "--quiet", f"--tag={IMAGE}", str(SERVER), timeout_s=600)
    command("kind", "load", "docker-image", "--name", cluster.context.removeprefix("kind-"), IMAGE, timeout_s=300)
    kube.make()
    kube.apply(*server(secrets.token_urlsafe(16)))
    open_lane(kube, replicated())
    yield kube
    kube.leave()


def traded(kube: Kube) -> int:
    """How many contracts its seller has sold and been paid for."""
    return len(books(kube, "seller-0").settled("seller"))


def lost_searches(kube: Kube) -> float:
    """Searches that a buyer could bring to no replica, though it tried again."""
    lost = 'wattmesh_messages_sent_total{action="search",outcome="undelivered"}'
    return sum(counted(kube, f"deployment/{buyer}").get(lost, 0) for buyer in BUYERS)


def ready_pods(kube: Kube) -> list[Object]:
    """The gateway's pods that are ready and stay."""
    return [
        pod
        for pod in kube.list("pods", PODS)
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    ]


@contextmanager
def killing(kube: Kube, kills: list[str]) -> Iterator[None]:
    """Delete one of the gateway's pods by force every 20 s while the block runs; the names of those that are gone."""
    done = threading.Event()

    def kill() -> None:
        while True:
            with suppress(CommandFailed):
                [victim, *_] = sorted(ready_pods(kube), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
                delete_by_force(kube, victim)
                kills.append(victim["metadata"]["name"])
            if done.wait(KILLED_EVERY_S):
                return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_two_pods_share_the_registry_and_one_at_a_time_may_be_evicted(shared: Kube) -> None:
    until("both are ready", lambda: shared.get("beckngateway", "market")["status"]["ready"] == "2/2")
    status = shared.get("beckngateway", "market")["status"]
    assert (status["replicas"], status["subscribers"]) == (2, 3)
    assert len(ready_pods(shared)) == 2
    assert not shared.list("persistentvolumeclaims", PODS)
    budget = until("the budget is counted", lambda: shared.get("poddisruptionbudget", "market")["status"])
    until("one may go", lambda: shared.get("poddisruptionbudget", "market")["status"]["disruptionsAllowed"] == 1)
    assert budget["expectedPods"] == 2


def test_a_replica_killed_every_20_s_stops_no_trade_and_loses_no_registration(
    shared: Kube, measured: list[str]
) -> None:
    until("it trades", lambda: traded(shared) >= 2)
    before = traded(shared)
    time.sleep(QUIET_S)
    quiet = (traded(shared) - before) / QUIET_S * 60

    everybody, before, kills = registered(shared), traded(shared), list[str]()
    began, took_s = time.monotonic(), KILLED_EVERY_S * KILLS
    with ThreadPoolExecutor(1) as threads, killing(shared, kills):
        asked = threads.submit(
            shared, "exec", "deployment/utility", "--", "python", "-c", ASKING, str(took_s), timeout_s=2 * took_s
        )
        shared.apply(late())
        shared.ready("solaragent/late")
        unanswered_s = float(asked.result())
    took_s = time.monotonic() - began
    killed = (traded(shared) - before) / took_s * 60

    measured.append(
        f"a gateway's replica killed {len(kills)} times in {took_s:.0f} s: {killed:.1f} contracts settled a minute,"
        f" {quiet:.1f} before; searches that reached no replica: {lost_searches(shared):.0f}; at the longest nobody"
        f" answered for {unanswered_s:.1f} s"
    )
    assert len(kills) >= KILLS
    assert registered(shared) == everybody | {"late-0"}
    assert killed > 0
    until("two pods again", lambda: len(ready_pods(shared)) == 2)
    until("the audit finds nothing", lambda: audit_findings(shared) == [])


def test_a_rolling_upgrade_of_the_gateway_fails_no_search(shared: Kube, measured: list[str]) -> None:
    before, sold = {pod["metadata"]["name"] for pod in ready_pods(shared)}, traded(shared)
    # A search of before that no replica took, when the last was killed, is counted when its tries are over.
    until("it trades", lambda: traded(shared) >= sold + 2)
    lost, began = lost_searches(shared), time.monotonic()
    shared.apply(replicated(pod={"annotations": {"example.com/upgrade": "1"}}))
    until("both pods are others", lambda: len({pod["metadata"]["name"] for pod in ready_pods(shared)} - before) == 2)
    shared.ready("beckngateway/market")
    measured.append(f"rolling upgrade of a gateway with two pods: {time.monotonic() - began:.0f} s")
    sold = traded(shared)
    until("it trades on", lambda: traded(shared) >= sold + 2)
    assert lost_searches(shared) == lost
    until("the audit finds nothing", lambda: audit_findings(shared) == [])


def test_it_is_scaled_with_kubectl(shared: Kube) -> None:
    shared("scale", "beckngateway/market", "--replicas=1")
    until("one pod is left", lambda: len(shared.list("pods", PODS)) == 1)
    shared.ready("beckngateway/market")
    assert shared.get("beckngateway", "market")["status"]["ready"] == "1/1"
