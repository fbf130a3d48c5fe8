"""A cluster through kubectl: pods are asked through port-forward, which no NetworkPolicy keeps out."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import aiohttp

from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import AGENTS, PodName
from wattmesh_operator.desired.names import CONTAINER, PORT

_GET_S, _FORWARD_S, _ANSWER_S, _RUN_S = 60, 20, 60, 1800
"""How long kubectl may take to list, to open a port, and the pod to answer, or to write or read a database."""
_FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ")


class Kubectl:
    """The agents' pods in a namespace, by default the context's, or in all; the context is by default the current."""

    def __init__(self, namespace: str | None = None, *, all_namespaces: bool = False, context: str | None = None):
        self._namespace = namespace
        self._all_namespaces = all_namespaces
        self._context = [] if context is None else [f"--context={context}"]

    async def listing(self) -> Any:
        """See `Cluster.listing`."""
        return await self._got("deployments.apps,pods", f"--selector={AGENTS}")

    async def agents(self) -> Any:
        """See `Cluster.agents`."""
        return await self._got("solaragents.wattmesh.io,utilityagents.wattmesh.io")

    async def place(self) -> str:
        """See `Cluster.place`."""
        if self._all_namespaces:
            return "any namespace"
        if self._namespace is not None:
            return f"namespace {self._namespace}"
        said = await self._said("config", "view", "--minify", "--output=jsonpath={..namespace}")
        return f"namespace {said.decode().strip() or 'default'}"

    async def page(self, pod: PodName, path: str, headers: Mapping[str, str]) -> bytes:
        """See `Cluster.page`."""
        status, body = await self._asked(pod, "GET", path, headers=headers)
        if status != 200:
            raise BooksError(f"{pod}: answers {status} to {path}")
        return body

    async def secret(self, namespace: str, name: str) -> Any:
        """See `Cluster.secret`."""
        return _json(await self._said("get", "secret", name, f"--namespace={namespace}", "--output=json"))

    async def post(self, pod: PodName, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """See `Cluster.post`."""
        return await self._asked(pod, "POST", path, body, headers)

    async def run(self, pod: PodName, command: Sequence[str], *, given: Path | None, to: Path | None) -> None:
        """See `Pods.run`."""
        where = [f"--namespace={pod.namespace}", f"--container={CONTAINER}", *(["--stdin"] if given else [])]
        with ExitStack() as files:
            stdin = files.enter_context(given.open("rb")) if given else DEVNULL
            stdout = files.enter_context(to.open("wb")) if to else PIPE
            async with self._started("exec", pod.name, *where, "--", *command, stdin=stdin, stdout=stdout) as process:
                try:
                    async with asyncio.timeout(_RUN_S):
                        _, complaint = await process.communicate()
                except TimeoutError:
                    raise BooksError(f"{pod}: kubectl exec does not end within {_RUN_S} s") from None
        if process.returncode:
            raise BooksError(f"{pod}: kubectl exec: {_cause(complaint)}")

    async def delete(self, pod: PodName) -> None:
        """See `Pods.delete`."""
        await self._said("delete", "pod", pod.name, f"--namespace={pod.namespace}", "--wait=false")

    async def _asked(
        self, pod: PodName, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with self._forwarded(pod) as port, aiohttp.ClientSession(timeout=timeout) as session:
            try:
                url = f"http://127.0.0.1:{port}{path}"
                async with session.request(method, url, data=body, headers=headers) as response:
                    return response.status, await response.read()
            except TimeoutError:
                raise BooksError(f"{pod}: no answer to {path} within {_ANSWER_S} s") from None
            except aiohttp.ClientError as error:
                raise BooksError(f"{pod}: no answer to {path} ({error})") from None

    @asynccontextmanager
    async def _forwarded(self, pod: PodName) -> AsyncIterator[int]:
        """A local port that leads to the pod."""
        where = [f"--namespace={pod.namespace}", "--address=127.0.0.1"]
        async with self._started("port-forward", f"pod/{pod.name}", f":{PORT}", *where) as process:
            try:
                async with asyncio.timeout(_FORWARD_S):
                    port = await _port(pod, process)
            except TimeoutError:
                raise BooksError(f"{pod}: kubectl port-forward opens no port within {_FORWARD_S} s") from None
            yield port

    async def _got(self, kinds: str, *options: str) -> Any:
        """What there is of these kinds, where it looks."""
        where = [] if self._namespace is None else [f"--namespace={self._namespace}"]
        if self._all_namespaces:
            where = ["--all-namespaces"]
        return _json(await self._said("get", kinds, *where, *options, "--output=json"))

    async def _said(self, *arguments: str) -> bytes:
        """What a kubectl command prints; BooksError with its own last word where it fails."""
        async with self._started(*arguments) as process:
            try:
                async with asyncio.timeout(_GET_S):
                    said, complaint = await process.communicate()
            except TimeoutError:
                raise BooksError(f"kubectl {arguments[0]}: no answer within {_GET_S} s") from None
        if process.returncode:
            raise BooksError(f"kubectl {arguments[0]}: {_last_line(complaint)}")
        return said

    @asynccontextmanager
    async def _started(
        self, *arguments: str, stdin: IO[bytes] | int = DEVNULL, stdout: IO[bytes] | int = PIPE
    ) -> AsyncIterator[Process]:
        """A kubectl process, which is gone in the end."""
        try:
            # In a session of its own: kubectl may be a script, whose children must end with it.
            process = await asyncio.create_subprocess_exec(
                *("kubectl", *self._context, *arguments),
                stdin=stdin,
                stdout=stdout,
                stderr=PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise BooksError(
                "--kubernetes needs kubectl, which is not on PATH: https://kubernetes.io/docs/tasks/tools/"
            ) from None
        except OSError as error:
            raise BooksError(f"kubectl cannot be run: {error.strerror}") from None
        try:
            yield process
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            await process.communicate()


async def _port(pod: PodName, process: Process) -> int:
    """The port that kubectl says it has opened."""
    async for line in cast(asyncio.StreamReader, process.stdout):
        if found := _FORWARDING.match(line):
            return int(found[1])
    _, complaint = await process.communicate()
    raise BooksError(f"{pod}: kubectl port-forward: {_last_line(complaint)}")


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BooksError("kubectl get: what it says is not JSON") from None


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "failed without a word")


def _cause(complaint: bytes) -> str:
    """What a command in a pod said last; kubectl's own last word is that it failed."""
    said = b"\n".join(
        line for line in complaint.split(b"\n") if not line.startswith(b"command terminated with exit code")
    )
    return _last_line(said)
