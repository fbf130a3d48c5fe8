"""Evidence of a contract: what the other side has signed, in a form that anybody can check without its keeper's books.

evidence = Evidence.model_validate_json(text)
for side in evidence.sides:
    proof = check(side)                 # proof.problems, proof.deliveries
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from wattmesh_beckn.codec.port import Codec
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.context import BecknModel, Context, SubscriberId
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.messages import read_call
from wattmesh_beckn.receiver import Received, parse
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.signature import SignatureProblem, check_signature, parse_header
from wattmesh_common.clock import rfc3339
from wattmesh_common.fields import Uuid
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import Cancelled, Confirm, Confirmed, Message, Pay, Receipt, Status, Terms

EVIDENCE = "evidence"
"""Last part of the URL's path where a party asks another for what it has signed itself."""
FORMAT: Literal["wattmesh-evidence/1"] = "wattmesh-evidence/1"


class SignedMessage(BecknModel):
    """A message as it came: its action, raw body and `Authorization`, when (ms of wall time), and what the registry
    said of its sender at that moment.
    """

    action: str
    received_ms: int
    body: str
    authorization: str
    registry_entry: Subscription


class EvidenceCall(BecknModel):
    """`POST <url of counterparty>/evidence`, signed by `party`: asks for what `party` has signed there.

    The messages that came after `since_ms` (wall time) are meant, page by page: those after the number `after`.
    """

    party: SubscriberId
    counterparty: SubscriberId
    since_ms: Annotated[int, Field(ge=0, lt=2**53)]
    after: Annotated[int, Field(ge=0, lt=2**53)] = 0


class EvidenceAnswer(BecknModel):
    """What the asker has signed, the oldest first; `after` leads to the next page, None: that is all.

    What belongs to slots before `closed_until` (unix seconds of grid time) is of an account that the asker has closed.
    """

    messages: tuple[SignedMessage, ...]
    after: int | None = None
    closed_until: int = 0


class DeliveryClaim(BecknModel):
    """What the keeper's books say of one slot (unix seconds of grid time): Wh, and millionths of the currency."""

    slot: int
    energy_wh: int
    amount_micro: int
    state: ContractState
    delivered_wh: int | None
    settled_micro: int | None


class SideOfContract(BecknModel):
    """One side's books of a contract, and what the counterparty signed of it, the oldest first."""

    party: SubscriberId
    side: Literal["buyer", "seller"]
    counterparty: SubscriberId
    transaction_id: Uuid
    currency: str
    deliveries: Annotated[tuple[DeliveryClaim, ...], Field(min_length=1)]
    messages: tuple[SignedMessage, ...]


class Evidence(BecknModel):
    """A bundle: one or both sides of contracts."""

    format: Literal["wattmesh-evidence/1"] = FORMAT
    sides: Annotated[tuple[SideOfContract, ...], Field(min_length=1)]


class Proved(NamedTuple):
    """Which parts of a claim the counterparty has signed: what was agreed, delivered and paid; None: not claimed."""

    claim: DeliveryClaim
    agreed: bool
    delivered: bool | None
    paid: bool | None

    @property
    def whole(self) -> bool:
        """Whether all that is claimed is signed."""
        return self.agreed and self.delivered is not False and self.paid is not False


class Proof(NamedTuple):
    """What a side's evidence proves. `problems` say which messages are not the counterparty's, and why; `keys` are the
    registry's entries of those with which it has signed the others.
    """

    side: SideOfContract
    deliveries: tuple[Proved, ...]
    problems: tuple[str, ...]
    keys: tuple[Subscription, ...]

    @property
    def sound(self) -> bool:
        """Whether every message is the counterparty's, and all that is claimed is signed."""
        return not self.problems and all(one.whole for one in self.deliveries)


def check(side: SideOfContract) -> Proof:
    """What the messages prove. The keys are those of the registry's entries in the evidence: whoever asks the registry
    itself, or kept its answer, compares `key_id` and `signing_public_key`.
    """
    problems: list[str] = []
    told: list[Message] = []
    keys: dict[str, Subscription] = {}
    for message in side.messages:
        try:
            told.append(_checked(side, message))
            keys[message.registry_entry.key_id] = message.registry_entry
        except (SignatureProblem, Refusal) as problem:
            problems.append(f"{message.action} of {rfc3339(message.received_ms / 1000)}: {problem}")
    deliveries = tuple(_proved(claim, told, side) for claim in side.deliveries)
    return Proof(side, deliveries, tuple(problems), tuple(keys.values()))


def _checked(side: SideOfContract, message: SignedMessage) -> Message:
    """What a message says, if the counterparty has signed it; SignatureProblem or Refusal says why it has not."""
    if message.registry_entry.subscriber_id != side.counterparty:
        raise SignatureProblem(f"signed by {message.registry_entry.subscriber_id!r}, not by {side.counterparty!r}")
    told, context = read_signed(message, message.registry_entry, side.party, CodecV1(side.currency))
    if context.transaction_id != side.transaction_id:
        raise SignatureProblem(f"it is about another transaction, {context.transaction_id}")
    return told


def read_signed(message: SignedMessage, entry: Subscription, other: str, codec: Codec) -> tuple[Message, Context]:
    """What a message says, if the subscriber of a registry's entry has signed it in its dealings with `other`, while
    the entry held; SignatureProblem or Refusal says why it has not.
    """
    header, body = parse_header(message.authorization), message.body.encode()
    if header.subscriber_id != entry.subscriber_id:
        raise SignatureProblem(f"signed by {header.subscriber_id!r}, not by {entry.subscriber_id!r}")
    if header.key_id != entry.key_id:
        raise SignatureProblem(f"signed with key {header.key_id}, and the registry's entry is of {entry.key_id}")
    if not entry.held(header.created):
        raise SignatureProblem(f"the registry's entry of key {entry.key_id} did not hold when it was signed")
    check_signature(header, body, entry.signing_public_key)
    call = read_call(message.action, parse(body))
    context = call.context
    if context.sender != entry.subscriber_id or {context.bap_id, context.bpp_id} != {entry.subscriber_id, other}:
        raise SignatureProblem(f"it is not between {entry.subscriber_id!r} and {other!r}")
    received = Received(message.action, context, call.message, entry, body, message.authorization, header.expires)
    return codec.decode(received), context


def _proved(claim: DeliveryClaim, told: list[Message], side: SideOfContract) -> Proved:
    agreed = any(
        (line.slot, line.energy_wh, line.amount_micro) == (claim.slot, claim.energy_wh, claim.amount_micro)
        for terms in _terms(told)
        if terms.currency == side.currency
        for line in terms.lines
    )
    delivered = paid = None
    if claim.state in DELIVERED and side.side == "buyer":
        delivered = any(
            one.state in DELIVERED
            and (one.slot, one.delivered_wh, one.due_micro) == (claim.slot, claim.delivered_wh, claim.settled_micro)
            for status in _statuses(told)
            for one in status.deliveries
        )
    if claim.state is ContractState.SETTLED:
        only = len(side.deliveries) == 1
        paid = any(
            isinstance(one, Pay | Receipt)
            and (one.slot == claim.slot or (one.slot is None and only))
            and (one.amount_micro, one.currency) == (claim.settled_micro, side.currency)
            for one in told
        )
    return Proved(claim, agreed, delivered, paid)


def _terms(told: list[Message]) -> Iterator[Terms]:
    """What the counterparty has committed itself to: a buyer confirms, a seller answers that, or says how it stands."""
    for one in told:
        if isinstance(one, Confirm | Confirmed):
            yield one.terms
    for status in _statuses(told):
        if any(one.state not in _UNCOMMITTED for one in status.deliveries):
            yield status.terms


def _statuses(told: list[Message]) -> Iterator[Status]:
    for one in told:
        if isinstance(one, Status):
            yield one
        elif isinstance(one, Cancelled):
            yield one.status


_UNCOMMITTED = frozenset((ContractState.QUOTED, ContractState.AGREED, ContractState.EXPIRED, ContractState.CANCELLED))
