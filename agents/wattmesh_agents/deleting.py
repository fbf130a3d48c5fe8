"""What a pod deletes: mail and counts that are over, books older than they are to keep, households that have left."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wattmesh_agents.ledgers import Ledgers
from wattmesh_agents.store import forgetting, journal
from wattmesh_agents.store.retention import RETIRED_AT_ONCE, Horizon, begun_before, forget, retire
from wattmesh_agents.store.transactions import Store
from wattmesh_common.forget import ForgottenRows
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.supplied import Supplied
from wattmesh_market.trade.refusal import Reason, Refused


class Deletions:
    """sqlite3.OperationalError when the disk refuses; then nothing is gone."""

    def __init__(self, store: Store, ledgers: Ledgers, members: Mapping[str, Events]) -> None:
        self._store = store
        self._ledgers = ledgers
        self._members = members

    def forget(self, horizon: Horizon, needed: Collection[str]) -> None:
        """Delete what has passed; see `retention`."""
        partners = {one.counterparty for member in self._members.values() for one in member.party.open_contracts()}
        with self._store.transaction("prune") as connection:
            forget(connection, horizon, self._members, partners.union(needed))
        self._store.inbox.forget(horizon.now_ms)

    def retire(self, horizon: Horizon) -> None:
        """Delete of each party's books some of what is older than it is to keep; see `retention`."""
        parties = [member.party for member in self._members.values()]
        kept = {party.id: horizon.kept_from(party.retention_days, party.grid.utc_offset_s) for party in parties}
        begun = begun_before(self._store.connection, kept)
        if not begun:
            return
        most = max(1, RETIRED_AT_ONCE // len(begun))
        with self._store.transaction("retire") as connection:
            chained = [name for name in begun if retire(connection, name, kept[name], most)]
        for name in chained:
            self._ledgers.load_chain(name)

    def left_behind(self, household: str, *, lost: bool) -> list[ForgottenRows]:
        """What is kept here of a household that has left. Refused when it cannot be forgotten yet, see `forgetting`."""
        if household in self._members:
            text = f"{household} lives here; delete its SolarAgent, or scale it down, and let it leave"
            raise Refused(Reason.BUSINESS, text)
        supplied = [member.party for member in self._members.values() if isinstance(member.party, Supplied)]
        utilities = {name for party in supplied for name in party.config.utilities}
        if reasons := forgetting.obstacles(self._store.connection, household, utilities, lost=lost):
            raise Refused(Reason.BUSINESS, f"{household} cannot be forgotten yet: {'; '.join(reasons)}")
        return forgetting.count(self._store.connection, household)

    def forget_household(self, household: str, salt: bytes, *, lost: bool) -> list[ForgottenRows]:
        """Let go of a household that has left, on the disk and in memory; what went. Refused as `left_behind` is.

        What is kept of its id is hashed with `salt`.
        """
        gone = self.left_behind(household, lost=lost)
        self._store.peers.forget_party(household)
        with self._store.transaction("forget") as connection:
            forgetting.forget(connection, household, salt)
        self._store.forget_mail(household)
        self._ledgers.forget(household)
        for name in {one.party for one in gone} & self._members.keys():
            party = self._members[name].party
            loaded = journal.load(self._store.connection, name, party.now.slot, party.books.standing)
            party.books.take_over(loaded, household)
            self._ledgers.load_chain(name)
        return gone
