"""The attacks on a street, by name: each goes on until it is stopped, with a registered subscriber's rights or none."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from tests.attack.foe import Foe, HttpFoe
from tests.security.cheap_seller import CheapSeller
from tests.security.http_support import Peer, connect
from tests.security.partners import anew, at_slot, bought, select_of, tell
from tests.street.puppet import PUPPET, STRANGER
from tests.street.stages import reading
from tests.world.calls import Json
from tests.world.subscribers import entry_at
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.subscribing import SubscriptionRefused, subscribe
from wattmesh_beckn.transport import TransportError

FOREVER_SLOTS = 10_000
SELLERS = ("roof-0", "roof-1")
BUYERS = ("low-0", "low-1", "flat-0", "flat-1", "flat-2", "flat-3")
METADATA = ("http://169.254.169.254/latest", "http://[64:ff9b::a9fe:a9fe]/", "http://100.100.100.200/")
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Attack:
    """What is done to the street, and the test in tests/security that holds what stands against it.

    `on_connections`: by what is done with connections, so that there is none of it without HTTP.
    """

    name: str
    go: Callable[[Foe], Awaitable[None]]
    test: str
    on_connections: bool = False


# --- dishonest sellers ---


def _sells(*answers: str) -> Callable[[Foe], Awaitable[None]]:
    async def go(foe: Foe) -> None:
        await CheapSeller(foe, answers).play(FOREVER_SLOTS)

    return go


# --- dishonest buyers ---


async def _bought(foe: Foe, of: str, kwh: str) -> tuple[str, Json] | None:
    """Buy as an honest buyer does; None when that is declined or not answered."""
    transaction = str(uuid.uuid4())
    try:
        return transaction, await asyncio.wait_for(bought(foe, transaction, kwh=kwh, of=of), PATIENCE_S)
    except TimeoutError:
        return None


async def hold_quotes(foe: Foe) -> None:
    """Reserve all there is, let it expire, reserve it again."""
    while True:
        for seller in SELLERS:
            await tell(foe, select_of(foe, str(uuid.uuid4()), kwh="9.000", of=seller))
        foe.heard.clear()
        await foe.clock.sleep(foe.slot_s / 8)


async def confirm_and_cancel(foe: Foe) -> None:
    """Buy all there is at the start of a slot, and give it back when nobody looks for offers any more."""
    while True:
        await foe.until_slot(foe.next_slot, 0.01)
        orders = [(seller, await _bought(foe, seller, "9.000")) for seller in SELLERS]
        await foe.until_slot(foe.slot, 0.8)
        for seller, order in orders:
            if order is not None:
                message = {"order_id": order[1]["id"], "cancellation_reason_id": "changed-my-mind"}
                await tell(foe, foe.call("cancel", seller, message, order[0]))


async def never_pay(foe: Foe) -> None:
    """Fifty contracts, and no payment."""
    for number in range(50):
        await _bought(foe, (*SELLERS, "utility")[number % 3], "5.000")
    await asyncio.Event().wait()


async def buy_crumbs(foe: Foe) -> None:
    """Contracts of 1 Wh, as many as are taken."""
    for number in count():
        await _bought(foe, SELLERS[number % 2], "0.001")


# --- false meters, false bills, false names ---


async def false_readings(foe: Foe) -> None:
    """Slots of 1969, 80,000 kWh, and outliers that a connection carries."""
    value = "message.order.fulfillments.0.tags.0.list.1.value"
    imported = "message.order.fulfillments.0.tags.0.list.0.value"
    while True:
        good = await reading(foe)
        for slot, kwh in ((-900, "80000.000"), (foe.slot - 900, "80000.000"), (foe.slot - 900, "7.400")):
            await tell(foe, anew(foe, at_slot(foe, good, slot), {imported: "0.000", value: kwh}))


async def forged_bills(foe: Foe) -> None:
    """Priced readings in the utility's place: another order, 777 kWh, currency XXX."""
    while True:
        good = await reading(foe)
        order = {**good["message"]["order"], "id": "supply-flat-0.default"}
        order["quote"] = {"price": {"currency": "XXX", "value": "777.000000"}}
        for buyer in BUYERS:
            await tell(foe, foe.call("on_update", buyer, {"order": order}, str(uuid.uuid4())))


async def forged_signatures(foe: Foe) -> None:
    """Another's key, signatures of long ago and of the future, and the same call again and again."""
    for number in count():
        call = select_of(foe, str(uuid.uuid4()), kwh="0.010", of=SELLERS[number % 2])
        body = json.dumps(call).encode()
        stranger, mine = foe.signers[STRANGER], foe.me
        for signer, created, expires in (
            (stranger, 0, 30),
            (mine, -1_000_000_000, 30),
            (mine, 3_600, 7_200),
            (mine, 0, 62_000_000_000),
        ):
            await foe.send(
                SELLERS[number % 2], "select", body, foe.signed(body, signer, created=created, expires=expires)
            )
        for _ in range(20 if number == 0 else 2):
            await foe.send(SELLERS[number % 2], "select", body, foe.signed(body))
        await foe.clock.sleep(0.01)  # virtual time goes on only while somebody waits


async def metadata_urls(foe: Foe) -> None:
    """Entries whose url leads into the cloud's metadata."""
    for number in count():
        entry = entry_at(foe.clock.wall(), foe.me, "BPP", url=METADATA[number % len(METADATA)])
        try:
            await subscribe(foe.origins["gateway"], foe.sites, foe.clock, foe.me, entry)
        except (SubscriptionRefused, RegistryUnavailable):
            await foe.clock.sleep(0.1)


async def vast_bodies(foe: Foe) -> None:
    """JSON of a megabyte, and JSON a hundred thousand deep."""
    bodies = (b'{"context": "' + b"x" * 1_000_000 + b'"}', b"[" * 100_000 + b"]" * 100_000)
    for number in count():
        body = bodies[number % 2]
        try:
            await foe.send((*SELLERS, *BUYERS)[number % 8], "select", body, foe.signed(body))
        except TransportError:
            await foe.clock.sleep(0.01)


# --- readers ---


async def _opened(foe: Foe, host: str, path: str, number: int) -> list[Peer]:
    """So many connections that have asked for a page."""
    assert isinstance(foe, HttpFoe)
    port = urlsplit(foe.origins[host]).port
    assert port is not None
    peers = [await connect(port, 4096) for _ in range(number)]
    shown = "".join(f"{name}: {value}\r\n" for name, value in foe.reading.header.items())
    for peer in peers:
        await peer.send(f"GET {path} HTTP/1.1\r\nhost: street\r\n{shown}\r\n".encode())
    return peers


def _reads(host: str, path: str, number: int, *, slowly: bool = False) -> Callable[[Foe], Awaitable[None]]:
    async def go(foe: Foe) -> None:
        while True:
            peers = await _opened(foe, host, path, number)
            try:
                if slowly:
                    await asyncio.gather(*(peer.sips() for peer in peers))
                else:
                    await foe.clock.sleep(10)
            finally:
                for peer in peers:
                    peer.close()

    return go


ATTACKS: Sequence[Attack] = (
    Attack("cheap seller, silent after confirm", _sells("search", "select", "init"), "test_silent_seller.py"),
    Attack("cheap seller, silent after init", _sells("search", "select"), "test_silent_seller.py"),
    Attack("cheap seller that never delivers", _sells("search", "select", "init", "confirm"), "test_silent_seller.py"),
    Attack("quotes held and let expire", hold_quotes, "test_dishonest_buyers.py"),
    Attack("confirm and cancel", confirm_and_cancel, "test_dishonest_buyers.py"),
    Attack("50 contracts, unpaid", never_pay, "test_dishonest_buyers.py"),
    Attack("contracts of 1 Wh", buy_crumbs, "test_dishonest_buyers.py"),
    Attack("implausible readings", false_readings, "test_dishonest_buyers.py"),
    Attack("forged priced readings", forged_bills, "test_dishonest_utilities.py"),
    Attack("forged, old, future signatures; replays", forged_signatures, "test_forged_identity.py"),
    Attack(
        "slow readers of /ledger", _reads("roof-0", "/ledger", 20, slowly=True), "test_readers.py", on_connections=True
    ),
    Attack("100 readers that never read", _reads("roof-0", "/ledger", 100), "test_readers.py", on_connections=True),
    Attack("64 silent event streams", _reads("gateway", "/events", 64), "test_http_slow.py", on_connections=True),
    Attack("metadata urls at subscribe", metadata_urls, "test_addresses.py"),
    Attack("oversized and deep JSON", vast_bodies, "test_http_bodies.py", on_connections=True),
)
BY_NAME = {attack.name: attack for attack in ATTACKS}
assert len(BY_NAME) == len(ATTACKS)
assert PUPPET not in (*SELLERS, *BUYERS)
