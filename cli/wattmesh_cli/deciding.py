"""What a person decides about held readings, told to the utility that holds them: signed as its registrar."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from wattmesh_beckn.keys import KeyFileError, read_keys
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import HttpTransport, Reply, TransportError
from wattmesh_cli.books import BooksError
from wattmesh_cli.state import GATEWAY, KEYS, StateError
from wattmesh_common.clock import SystemClock
from wattmesh_common.decide import CORRECT, DECIDE, CorrectCall, DecideAnswer, DecideCall, Decision
from wattmesh_common.runtime import REGISTRAR

_SIGNATURE_S = 30
_TIMEOUT_S = 20.0
_URL = (
    "SELECT url FROM subscription WHERE subscriber_id = ? AND type = 'BPP' AND status = 'SUBSCRIBED' "
    "ORDER BY updated_ms DESC"
)


@dataclass(frozen=True)
class ToUtility(ABC):
    """A call of the registrar about readings of a household that a utility holds, or held. The utility is in the book
    of that name.
    """

    book: str
    utility: str
    household: str
    name: ClassVar[str]

    @property
    def path(self) -> str:
        """Below the address of the utility's pod."""
        return f"/{self.utility.partition('.')[0]}/{self.name}"

    @abstractmethod
    def call(self, message_id: str) -> BaseModel:
        """The call's body."""

    def signed_by(self, registrar: Signer) -> tuple[bytes, dict[str, str]]:
        """The call's body and headers."""
        return signed(self.call(str(uuid.uuid4())), registrar)

    def billed_wh(self, status: int, body: bytes) -> Mapping[int, int]:
        """What the utility answers: net import (Wh) by slot, as it is billed. BooksError says why it refuses."""
        try:
            if status == 200:
                return {one.slot: one.net_wh for one in DecideAnswer.model_validate_json(body).billed}
        except ValidationError:
            pass
        raise BooksError(f"{self.utility}: {why(status, body)}")


def signed(call: BaseModel, registrar: Signer) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a call of the registrar."""
    body, clock = call.model_dump_json().encode(), SystemClock()
    signature = registrar.sign_until(body, clock.wall() + _SIGNATURE_S, clock)
    return body, {"content-type": "application/json", AUTHORIZATION: signature}


def why(status: int, body: bytes) -> str:
    """Why such a call is refused, by the answer."""
    try:
        return str(pydantic_core.from_json(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answers {status}"


@dataclass(frozen=True)
class Decided(ToUtility):
    """Held readings, by slot, and what becomes of them."""

    slots: tuple[int, ...]
    decision: Decision
    name = DECIDE

    def call(self, message_id: str) -> BaseModel:
        """See `ToUtility`."""
        return DecideCall(
            subscriber_id=self.utility,
            message_id=message_id,
            household=self.household,
            slots=list(self.slots),
            decision=self.decision,
        )


@dataclass(frozen=True)
class Corrected(ToUtility):
    """A reading that is held or was estimated, and its net import (Wh) as it should have been."""

    slot: int
    net_wh: int
    name = CORRECT

    def call(self, message_id: str) -> BaseModel:
        """See `ToUtility`."""
        return CorrectCall(
            subscriber_id=self.utility,
            message_id=message_id,
            household=self.household,
            slot=self.slot,
            net_wh=self.net_wh,
        )


def decide_on_this_machine(state: Path, decided: ToUtility) -> Mapping[int, int]:
    """Tell the running street of a state directory; what is billed. Who may read its keys may decide."""
    try:
        registrar = read_keys(state / KEYS)[REGISTRAR]
        with closing(sqlite3.connect(f"{(state / GATEWAY).absolute().as_uri()}?mode=ro", uri=True)) as registry:
            [url] = registry.execute(_URL, (decided.utility,)).fetchone() or [None]
    except (KeyFileError, KeyError, sqlite3.Error):
        raise StateError(f"{state}: no live street is kept there; only a running utility can be told") from None
    if url is None:
        raise StateError(f"{state}: {decided.utility} is not registered")
    try:
        reply = asyncio.run(_posted(f"{url.rpartition('/')[0]}{decided.path}", *decided.signed_by(registrar)))
    except TransportError as error:
        text = f"the street does not run ({error}); start it with 'wattmesh up --state {state}'"
        raise StateError(f"{state}: {text}") from None
    return decided.billed_wh(reply.status, reply.body)


async def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    transport = HttpTransport()
    try:
        return await transport.post(url, body, headers, timeout_s=_TIMEOUT_S)
    finally:
        await transport.close()
