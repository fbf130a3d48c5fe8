"""A real cluster through kubectl, and waiting for what shall become so."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from kubernetes import config
from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError as NotReached

Object = dict[str, Any]
T = TypeVar("T")

PATIENCE_S = 300.0
"""How long a test waits for what shall become so: several times what it takes on two idle cores."""


_FORWARDS: dict[tuple[str, str, str], tuple[ExitStack, str]] = {}
"""Ports that are kept open for the next look, by context, namespace and target: the process and its URL."""


def close_forwards() -> None:
    """Close all of them."""
    while _FORWARDS:
        _FORWARDS.popitem()[1][0].close()


class CommandFailed(Exception):
    """What a command said when it failed."""


def command(*arguments: str, given: str | None = None, timeout_s: float = 120.0) -> str:
    """What a command writes. Raises CommandFailed, also when it takes too long."""
    program = shutil.which(arguments[0])
    assert program, f"{arguments[0]} is not on PATH; `make e2e` says where it is from"
    shown = " ".join(arguments)
    try:
        done = subprocess.run(
            [program, *arguments[1:]], input=given, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{shown}: still not done after {timeout_s:.0f} s") from None
    if done.returncode:
        raise CommandFailed(f"{shown}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def until(what: str, look: Callable[[], T | None], within_s: float = PATIENCE_S, every_s: float = 0.5) -> T:
    """What `look` gives once it is true. AssertionError, with what was last seen, when it does not become so.

    A command or request that fails is one that has not come true yet.
    """
    end = time.monotonic() + within_s
    while True:
        last: object = None
        try:
            found = look()
            if found:
                return found
            last = found
        except (CommandFailed, OSError, KeyError, IndexError, ValueError, AssertionError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:.0f} s: {what}; last seen: {last}")
        time.sleep(every_s)


@cache
def _api(context: str) -> Any:
    with TemporaryDirectory() as folder:  # what was found of another cluster at this address is not to be believed
        return DynamicClient(config.new_client_from_config(context=context), cache_file=str(Path(folder, "cache")))


@cache
def _resource(context: str, kind: str) -> Any:
    for spelling in ("name", "singular_name"):
        for found in _api(context).resources.search(**{spelling: kind}):
            if not found.kind.endswith("List"):
                return found
    raise CommandFailed(f"the cluster has no {kind}")


@dataclass(frozen=True)
class Kube:
    """One namespace of the cluster. What tests look at again and again is asked without a kubectl for each look."""

    context: str
    namespace: str

    def __call__(self, *arguments: str, given: str | None = None, timeout_s: float = 120.0) -> str:
        """What kubectl writes. Raises CommandFailed."""
        return command(
            *("kubectl", "--context", self.context, "--namespace", self.namespace, *arguments),
            given=given,
            timeout_s=timeout_s,
        )

    def of(self, namespace: str) -> Kube:
        """Another namespace of the same cluster."""
        return Kube(self.context, namespace)

    def helm(self, *arguments: str) -> str:
        """What helm writes, with releases in this namespace. Raises CommandFailed."""
        return command("helm", "--kube-context", self.context, "--namespace", self.namespace, *arguments, timeout_s=300)

    def apply(self, *objects: Object) -> None:
        """`kubectl apply -f -` of these. Raises CommandFailed."""
        self("apply", "-f", "-", given=yaml.safe_dump_all(objects, allow_unicode=True))

    def get(self, kind: str, name: str) -> Object:
        """One object. Raises CommandFailed when it is not there."""
        return self._asked(kind, name=name)

    def list(self, kinds: str, selector: str = "") -> list[Object]:
        """All objects of these kinds, with commas between, that agree with a label selector."""
        return [
            {"kind": _resource(self.context, kind).kind, **item}  # which the API server says of the whole list
            for kind in kinds.split(",")
            for item in self._asked(kind, label_selector=selector)["items"]
        ]

    def _asked(self, kind: str, **query: str) -> Object:
        try:
            asked = _resource(self.context, kind)
            answer = asked.get(namespace=self.namespace, serialize=False, _request_timeout=60, **query)
            found: Object = json.loads(answer.data)
        except ApiException as error:
            raise CommandFailed(f"{kind} of {self.namespace}: {error.status} {error.reason}") from None
        except NotReached as error:
            raise CommandFailed(f"{kind} of {self.namespace}: {error}") from None
        return found

    def names(self, kinds: str, selector: str = "") -> set[str]:
        """The names of these."""
        return {item["metadata"]["name"] for item in self.list(kinds, selector)}

    def is_gone(self, kind: str, name: str) -> bool:
        """Whether there is no such object."""
        return name not in self.names(kind)

    def ready(self, *resources: str, within_s: float = PATIENCE_S) -> None:
        """Wait for the condition Ready of resources (such as `solaragent/rooftop`) as they are declared now."""
        for resource in resources:
            kind, name = resource.split("/")
            until(f"{resource} is ready", lambda kind=kind, name=name: is_ready(self.get(kind, name)), within_s)  # type: ignore[misc]

    def make(self) -> None:
        """Make the namespace anew, as one that enforces restricted Pod Security."""
        self("delete", "namespace", self.namespace, "--ignore-not-found", timeout_s=180)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}})

    def leave(self) -> None:
        """Delete the namespace and wait for nothing."""
        self("delete", "namespace", self.namespace, "--wait=false")

    @contextmanager
    def forwarded(self, target: str, port: int = 8080) -> Iterator[str]:
        """The URL by which `kubectl port-forward` reaches a port of `target` (such as `service/rooftop-0`)."""
        program = shutil.which("kubectl") or "kubectl"
        reached = [program, "--context", self.context, "--namespace", self.namespace]
        forward = subprocess.Popen(
            [*reached, "port-forward", "--address", "127.0.0.1", target, f":{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert forward.stdout
            said = forward.stdout.readline()
            if not said.startswith("Forwarding from "):
                raise CommandFailed(f"port-forward {target}: {forward.communicate(timeout=10)[1]}")
            yield f"http://{said.removeprefix('Forwarding from ').split()[0]}"
        finally:
            forward.terminate()
            forward.communicate(timeout=10)

    def page(self, target: str, path: str, send: Mapping[str, Any] | None = None, *, token: str | None = None) -> str:
        """What `target` answers at a path, to who shows the reading token. Raises CommandFailed or OSError."""
        key = (self.context, self.namespace, target)
        kept = key in _FORWARDS
        if not kept:
            stack = ExitStack()
            _FORWARDS[key] = stack, stack.enter_context(self.forwarded(target))
        stack, url = _FORWARDS[key]
        body = None if send is None else json.dumps(send).encode()
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
        request = Request(f"{url}{path}", data=body, headers=headers)  # noqa: S310
        try:
            with urlopen(request, timeout=20) as answer:  # noqa: S310 - the URL is port-forward's
                text: str = answer.read().decode()
                return text
        except HTTPError as refused:
            refused.close()
            raise
        except (OSError, HTTPException):
            del _FORWARDS[key]
            stack.close()
            if not kept:
                raise
            return self.page(target, path, send, token=token)  # it led to a pod that is gone


def condition(item: Object, kind: str) -> Object:
    """A condition of an object; an empty one if it has none of that type."""
    conditions: list[Object] = item.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def is_so(item: Object, kind: str) -> bool:
    """Whether a condition is True for what the object declares now."""
    found = condition(item, kind)
    return found.get("status") == "True" and found.get("observedGeneration") == item["metadata"]["generation"]


def is_ready(item: Object) -> bool:
    """Whether all of it is ready as it is declared now, and nothing is under way."""
    return is_so(item, "Ready") and is_so(item, "Registered") and condition(item, "Progressing")["status"] == "False"
