"""Evidence of a contract: what the other side has signed, in a form that anybody can check without its keeper's books.

evidence = Evidence.model_validate_json(text)
for side in evidence.sides:
    proof = check(side, evidence.sides)  # proof.problems, proof.deliveries
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError

from wattmesh_beckn.codec.port import Codec
from wattmesh_beckn.codec.versions import BOTH, codecs_of
from wattmesh_beckn.context import Addressed, BecknModel, SubscriberId
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.receiver import Received, parse, read_any
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.signature import SignatureProblem, check_signature, parse_header
from wattmesh_common.chain import Checkpoint, commitment, next_head
from wattmesh_common.clock import rfc3339
from wattmesh_common.fields import ProtocolVersion, Uuid
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry
from wattmesh_market.trade.messages import Cancelled, Confirm, Confirmed, Message, Pay, Receipt, Status, Terms

EVIDENCE = "evidence"
"""Last part of the URL's path where a party asks another for what it has signed itself."""
FORMAT: Literal["wattmesh-evidence/1"] = "wattmesh-evidence/1"


class SignedMessage(BecknModel):
    """A message as it came: its action, raw body and `Authorization`, when (ms of wall time), and what the registry
    said of its sender at that moment. `request_signature` (base64) is that of the request which it answers, where its
    own covers it.
    """

    action: str
    received_ms: int
    body: str
    authorization: str
    registry_entry: Subscription
    request_signature: str | None = None


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


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256, hexadecimal."""


class SignedCheckpoint(BecknModel):
    """A checkpoint as it was given: its raw body (a `Checkpoint`), `Authorization`, and the key of that (base64)."""

    body: str
    authorization: str
    public_key: str


class BookedEntry(BecknModel):
    """An entry `number` of the keeper's ledger for this contract: energy received (Wh), money earned (millionths).

    Its hash with `salt` follows the head `former` in the chain; with those in `path` after it, that of the entries
    booked later, it leads to the head that the keeper signed in `checkpoint`; None: in none yet.
    """

    slot: int
    energy_wh: int
    amount_micro: int
    number: Annotated[int, Field(ge=1)]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    former: Hash
    path: tuple[Hash, ...]
    checkpoint: SignedCheckpoint | None


class SideOfContract(BecknModel):
    """One side's books of a contract, and what the counterparty signed of it, the oldest first.

    `booked` are its ledger entries of it, `kept` what the counterparty signed of its own chain after them.
    """

    party: SubscriberId
    side: Literal["buyer", "seller"]
    counterparty: SubscriberId
    transaction_id: Uuid
    currency: str
    deliveries: Annotated[tuple[DeliveryClaim, ...], Field(min_length=1)]
    messages: tuple[SignedMessage, ...]
    booked: tuple[BookedEntry, ...] = ()
    kept: tuple[SignedCheckpoint, ...] = ()


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


class Chained(NamedTuple):
    """A ledger entry that is in the chain whose head its keeper has signed: in `checkpoint`, with `key_id`.

    `kept_by` are those sides of the evidence that keep the same checkpoint.
    """

    entry: BookedEntry
    checkpoint: Checkpoint
    key_id: str
    kept_by: tuple[str, ...]


class Proof(NamedTuple):
    """What a side's evidence proves. `problems` say what is not as it is claimed, and why: messages that are not the
    counterparty's, ledger entries that are not in the chain; `keys` are the registry's entries of those with which the
    counterparty has signed the messages. `chained` are the ledger entries that a checkpoint commits to.
    """

    side: SideOfContract
    deliveries: tuple[Proved, ...]
    problems: tuple[str, ...]
    keys: tuple[Subscription, ...]
    chained: tuple[Chained, ...]

    @property
    def sound(self) -> bool:
        """Whether every message is the counterparty's, all that is claimed is signed, and what is booked is chained."""
        return not self.problems and all(one.whole for one in self.deliveries)


def check(side: SideOfContract, sides: Sequence[SideOfContract] = ()) -> Proof:
    """What a side proves, beside all `sides` of the evidence.

    The keys are those that stand in the evidence: whoever asks the registry itself, or kept its answer, compares
    `key_id` and `signing_public_key`.
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
    chained: list[Chained] = []
    for entry in side.booked:
        try:
            chained += _chained(side, entry, sides)
        except (SignatureProblem, ValidationError) as problem:
            problems.append(f"ledger entry {entry.number} of {side.party}: {problem}")
    return Proof(side, deliveries, tuple(problems), tuple(keys.values()), tuple(chained))


def _chained(side: SideOfContract, entry: BookedEntry, sides: Sequence[SideOfContract]) -> Iterator[Chained]:
    """The entry, if a checkpoint commits to it; SignatureProblem says why it does not, or not to what is claimed."""
    sign = 1 if side.side == "buyer" else -1
    if (entry.slot, sign * entry.energy_wh, -sign * entry.amount_micro) not in (
        (claim.slot, claim.delivered_wh, claim.settled_micro) for claim in side.deliveries
    ):
        raise SignatureProblem("it is not what is claimed of the delivery")
    if entry.checkpoint is None:
        return
    checkpoint, key_id = read_checkpoint(entry.checkpoint, side.party)
    booked = LedgerEntry(
        EntryKind.TRADE, entry.slot, side.counterparty, side.transaction_id, entry.energy_wh, entry.amount_micro
    )
    head = next_head(bytes.fromhex(entry.former), commitment(booked, bytes.fromhex(entry.salt)))
    for later in entry.path:
        head = next_head(head, bytes.fromhex(later))
    if (head.hex(), entry.number + len(entry.path)) != (checkpoint.head, checkpoint.number):
        raise SignatureProblem(f"it is not in the chain that was signed for the day until {rfc3339(checkpoint.until)}")
    keepers = []
    for other in sides:
        if (other.party, other.counterparty) != (side.counterparty, side.party):
            continue
        of_day = [read_checkpoint(one, side.party)[0] for one in other.kept]
        same_day = [one for one in of_day if one.until == checkpoint.until]
        if any(one != checkpoint for one in same_day):
            raise SignatureProblem(
                f"{other.party} keeps another checkpoint of the day until {rfc3339(checkpoint.until)}"
            )
        keepers += [other.party] * len(same_day)
    yield Chained(entry, checkpoint, key_id, tuple(keepers))


def read_checkpoint(signed: SignedCheckpoint, party: str) -> tuple[Checkpoint, str]:
    """What a checkpoint of `party` says, and the id of the key that signed it.

    SignatureProblem when it is not the party's, ValidationError when it is none.
    """
    header = parse_header(signed.authorization)
    check_signature(header, signed.body.encode(), signed.public_key)
    checkpoint = Checkpoint.model_validate_json(signed.body)
    if not header.subscriber_id == checkpoint.party == party:
        raise SignatureProblem(f"its checkpoint is signed by {header.subscriber_id!r}, not by {party!r}")
    return checkpoint, header.key_id


def _checked(side: SideOfContract, message: SignedMessage) -> Message:
    """What a message says, if the counterparty has signed it; SignatureProblem or Refusal says why it has not."""
    if message.registry_entry.subscriber_id != side.counterparty:
        raise SignatureProblem(f"signed by {message.registry_entry.subscriber_id!r}, not by {side.counterparty!r}")
    told, context = read_signed(message, message.registry_entry, side.party, codecs_of(BOTH, side.currency))
    if context.transaction_id != side.transaction_id:
        raise SignatureProblem(f"it is about another transaction, {context.transaction_id}")
    return told


def read_signed(
    message: SignedMessage, entry: Subscription, other: str, codecs: Mapping[ProtocolVersion, Codec]
) -> tuple[Message, Addressed]:
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
    check_signature(header, body, entry.signing_public_key, message.request_signature)
    call = read_any(message.action, parse(body))
    context = call.context
    sender = context.bpp_id if context.is_callback else context.bap_id
    if sender != entry.subscriber_id or {context.bap_id, context.bpp_id} != {entry.subscriber_id, other}:
        raise SignatureProblem(f"it is not between {entry.subscriber_id!r} and {other!r}")
    received = Received(message.action, context, call.message, entry, body, message.authorization, header.expires)
    codec = codecs.get(received.protocol)
    if codec is None:
        raise SignatureProblem(f"it is in {received.protocol} of Beckn, which is not spoken here")
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
            (part.slot == claim.slot or (part.slot is None and only)) and part.amount_micro == claim.settled_micro
            for one in told
            if isinstance(one, Pay | Receipt) and one.currency == side.currency
            for part in one.parts
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
