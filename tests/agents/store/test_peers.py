"""What a pod remembers of those it trades with."""

from __future__ import annotations

from tests.world.parties import EPOCH_S
from tests.world.subscribers import entry_at, signer
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.mail import Peers
from wattmesh_common.fields import Protocols

ROOF, BARN = "roof-0.default", "barn-0.default"


def met(database: Database, protocols: Protocols, url: str = "http://roof-0") -> Peers:
    """The peers after the roof was heard, on disk."""
    peers = Peers(database.connection)
    entry = entry_at(EPOCH_S, signer(ROOF), "BPP", url=url)
    peers.meet(entry.model_copy(update={"protocols": protocols}), 1_000)
    with database.transaction("test"):
        peers.write()
    peers.written()
    return peers


def test_what_somebody_speaks_is_known_after_a_restart() -> None:
    database = Database.open(IN_MEMORY)
    met(database, ("v1", "v2"))
    again = Peers(database.connection)
    assert (again.url_of(ROOF), again.protocols_of(ROOF)) == ("http://roof-0", ("v1", "v2"))
    assert (again.url_of(BARN), again.protocols_of(BARN)) == (None, ("v1",))
    met(database, ("v1",))
    assert Peers(database.connection).protocols_of(ROOF) == ("v1",)


def test_whom_the_gateway_has_told_of_speaks_v2_until_it_is_met() -> None:
    database = Database.open(IN_MEMORY)
    peers = Peers(database.connection)
    peers.hint(ROOF, "http://somewhere")
    assert (peers.url_of(ROOF), peers.protocols_of(ROOF)) == ("http://somewhere", ("v2",))
    peers = met(database, ("v1", "v2"), "http://here")
    peers.hint(ROOF, "http://elsewhere")
    assert (peers.url_of(ROOF), peers.protocols_of(ROOF)) == ("http://here", ("v1", "v2"))
