"""The accounts of a pod's parties: the chains of their ledgers, closing records, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from wattmesh_agents.store import accounts
from wattmesh_agents.store.chain import (
    Chains,
    Due,
    Head,
    SignedCheckpoint,
    chain_ledger,
    due_checkpoints,
    keep_checkpoint,
    kept_checkpoint,
    make_due,
    not_due,
)
from wattmesh_agents.store.transactions import Store
from wattmesh_common.chain import Checkpoint
from wattmesh_market.energy.slots import DAY_S
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.contracts import Side
from wattmesh_market.trade.ledger import LedgerEntry
from wattmesh_market.trade.refusal import Reason, Refused

GIVEN_WITHIN_S = 7 * DAY_S
"""How long it is tried to give somebody a checkpoint (grid time). Later ones say more."""


class Ledgers:
    """sqlite3.OperationalError when the disk refuses; then nothing has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.accounts = accounts.accounts(store.connection)
        """The id of each party's ledger."""
        self.checkpoints_due = due_checkpoints(store.connection)
        """The bodies of checkpoints that parties have signed and not given yet."""
        self._chains = Chains(store.connection)
        for party in self.accounts:
            self.load_chain(party)

    def open_accounts(self, parties: Collection[str], now_ms: int) -> None:
        """Note when the ledgers of parties that are new here are begun."""
        new = sorted(set(parties) - self.accounts.keys())
        if not new:
            return
        with self._store.transaction("open accounts") as connection:
            accounts.open_accounts(connection, new, self._store.salt, now_ms)
            opened = accounts.accounts(connection)
            for party in new:
                chain_ledger(connection, party, opened[party])
        self.accounts = opened
        for party in new:
            self.load_chain(party)

    def head(self, party: str) -> Head | None:
        """Where a party's chain ends; None when it has no account yet."""
        return self._chains.head(party)

    def load_chain(self, party: str) -> None:
        """Go on with a party's chain as it is on the disk, where it has one."""
        if party in self.accounts:
            self._chains.load(party, self.accounts[party])

    def chain(self, party: str, entries: Sequence[LedgerEntry]) -> Head | None:
        """Add entries that are booked in the same transaction; the head that is to be known once it is committed."""
        return self._chains.write(party, entries)

    def know(self, party: str, head: Head) -> None:
        """A party's chain ends here from now on."""
        self._chains.know(party, head)

    def totals(self, party: str) -> list[accounts.Total]:
        """What a party has booked, by counterparty."""
        return accounts.totals(self._store.connection, party)

    def closed_until(self, party: str, counterparty: str) -> int:
        """Up to which slot a counterparty has closed its account with a party."""
        return accounts.closed_until(self._store.connection, party, counterparty)

    def keep_closing(self, signed: accounts.Signed) -> bool:
        """Keep a closing record; False when nothing is booked with that party, or it has closed too many accounts."""
        connection, record = self._store.connection, signed.record
        known = accounts.has_booked_with(connection, record.counterparty, record.party)
        if not known or not accounts.room_for(connection, record):
            return False
        with self._store.transaction("closing") as connection:
            accounts.keep_closing(connection, signed)
        return True

    def take_checkpoint(
        self, party: str, until: int, besides: Collection[str], sign: Callable[[bytes], tuple[str, str]]
    ) -> None:
        """Sign where a party's chain stands after a day, once, if something was booked since the last time.

        It is due to all with whom that was, and to `besides`. `sign` gives `Authorization` header and public key.
        """
        head = self._chains.head(party)
        if head is None or not head.partners or until <= head.until:
            return
        checkpoint = Checkpoint(
            party=party, account=self.accounts[party], until=until, number=head.number, head=head.hash.hex()
        )
        body = checkpoint.model_dump_json()
        due = [Due(party, until, recipient) for recipient in sorted(head.partners.union(besides))]
        stale = [one for one in self.checkpoints_due if one.party == party and one.until < until - GIVEN_WITHIN_S]
        with self._store.transaction("checkpoint") as connection:
            keep_checkpoint(connection, party, SignedCheckpoint(checkpoint, body, *sign(body.encode())))
            make_due(connection, due)
            not_due(connection, stale)
        self._chains.know(party, head._replace(partners=frozenset(), until=until))
        self.checkpoints_due |= dict.fromkeys(due, body.encode())
        for one in stale:
            del self.checkpoints_due[one]

    def given(self, due: Due) -> None:
        """A checkpoint was given, or is not wanted."""
        with self._store.transaction("checkpoint given") as connection:
            not_due(connection, [due])
        self.checkpoints_due.pop(due, None)

    def keep_checkpoint(self, party: Party, signed: SignedCheckpoint, *, near: bool) -> None:
        """Keep a checkpoint that a party is given; a utility, of all that are registered on its feeder (`near`).

        Refused when it has nothing to do with the signer, or keeps another one of it for the same day.
        """
        connection, checkpoint = self._store.connection, signed.checkpoint
        kept = kept_checkpoint(connection, party.id, checkpoint.party, checkpoint.until)
        if kept == checkpoint:
            return
        if kept is not None:
            text = f"you have signed another head of that day: entry {kept.number}, {kept.head}"
            raise Refused(Reason.BUSINESS, text)
        if not (
            (near and isinstance(party, Utility))
            or any(party.books.open_with(side, checkpoint.party) for side in Side)
            or accounts.has_booked_with(connection, party.id, checkpoint.party)
        ):
            raise Refused(Reason.POLICY, "nothing is booked with you here")
        with self._store.transaction("checkpoint kept") as connection:
            keep_checkpoint(connection, party.id, signed)

    def forget(self, party: str) -> None:
        """A party's rows are gone from the disk."""
        self.accounts.pop(party, None)
        self.checkpoints_due = due_checkpoints(self._store.connection)
