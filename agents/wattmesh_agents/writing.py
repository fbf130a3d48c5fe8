"""Writing a party's messages: in the version of Beckn that their receivers speak, with address, id and time to live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from wattmesh_agents.store.mail import Outgoing, Peers
from wattmesh_beckn.codec.port import Codec, Envelope
from wattmesh_beckn.codec.v2.messages import is_callback
from wattmesh_beckn.codec.versions import name_of
from wattmesh_beckn.receiver import Asked, Received
from wattmesh_beckn.signature import digest
from wattmesh_common.fields import Protocols, ProtocolVersion
from wattmesh_market.parties.party import Party
from wattmesh_market.trade.messages import ACTION_OF, Action, Publish, Search, Send

MESSAGE_TTL_MS = 30_000
"""How long a message is worth sending (wall time); what still matters then is said anew."""
_LEAST_TTL_MS = 1_000


class Place(NamedTuple):
    """Where a pod's parties are: the network's domain, and the parties' own addresses by subscriber id."""

    domain: str
    urls: Mapping[str, str]


class Writer:
    """`codecs` are those of the versions that the parties speak, `sign` makes a message's Authorization."""

    def __init__(
        self,
        codecs: Mapping[ProtocolVersion, Codec],
        place: Place,
        peers: Peers,
        sign: Callable[[Outgoing], str],
    ) -> None:
        self._codecs = codecs
        self._place = place
        self._peers = peers
        self._sign = sign

    def written(self, party: Party, send: Send, received: Received | None) -> list[Outgoing]:
        """A message in the version, or a search in those, that it is to be said in; `received` is what led to it."""
        answers = received if received is not None and send.reply_to == received.context.message_id else None
        if answers is not None:
            return [self._in(answers.protocol, party, send, answers)]
        if isinstance(send.message, Search):
            return [self._in(protocol, party, send) for protocol in self._codecs]
        published = isinstance(send.message, Publish)
        spoken: Protocols = ("v2",) if published else self._peers.protocols_of(send.to)
        both = [protocol for protocol in self._codecs if protocol in spoken] or [*self._codecs]
        return [self._in(max(both), party, send)]

    def asked(self, messages: Sequence[Outgoing]) -> dict[tuple[str, str, str], Asked]:
        """The requests among messages that are answered in v2, signed."""
        if "v2" not in self._codecs:
            return {}
        return {
            (one.party, one.message_id, one.action): Asked(digest(one.body), self._sign(one))
            for one in messages
            if not is_callback(one.action)
        }

    def _in(self, protocol: ProtocolVersion, party: Party, send: Send, answers: Received | None = None) -> Outgoing:
        action, now_ms, here = ACTION_OF[type(send.message)], party.now.ms, self._place.urls[party.id]
        ttl_ms = MESSAGE_TTL_MS
        if send.until_ms is not None:
            ttl_ms = max(_LEAST_TTL_MS, min(MESSAGE_TTL_MS, send.until_ms - now_ms))
        message_id = send.reply_to or party.derive_id(action, send.transaction_id, send.to, send.occasion)
        me, other = (party.id, here), (send.to, self._peers.url_of(send.to) or "")
        callback = action.startswith("on_")
        contract = party.books.contract(send.transaction_id, send.to)
        envelope = Envelope(
            domain=self._place.domain,
            feeder=party.feeder,
            bap=other if callback else me,
            bpp=None if action is Action.SEARCH else me if callback or action is Action.PUBLISH else other,
            transaction_id=send.transaction_id,
            message_id=message_id,
            now_ms=now_ms,
            ttl_s=ttl_ms / 1000,
            terms_until_ms=None if contract is None else contract.expires_ms,
            request_digest=digest(answers.body) if answers is not None and protocol == "v2" else None,
        )
        body, name = self._codecs[protocol].encode(send.message, envelope), name_of(action, protocol)
        return Outgoing(party.id, message_id, name, send.to, send.transaction_id, body, now_ms + ttl_ms)
