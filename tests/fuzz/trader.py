"""A subscriber over real HTTP that answers some of what it hears as a trader should, and keeps it all for spoiling."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from tests.street.puppet import PUPPET
from tests.street.stages import PRICE
from tests.world.calls import Json, agreed, cancelled, catalog, delivered, paid, quantity, recipient, taken
from tests.world.calls import call as good_call
from wattmesh_beckn.answers import ack
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer

TIMEOUT_S = 60.0
"""Who has not answered by then hangs: no load makes anybody that slow. The table says how slow they were."""
_KEPT = 30


def post(session: requests.Session, url: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
    """POST as it is; requests raises what keeps the answer from coming in time."""
    return session.post(url, data=body, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False)


class Trader:
    """Buys from roof-0 and sells to low-0 in the name of PUPPET, which the tests of the street have books for.

    `hosts` maps each participant's name to its base URL, `gateway` is the gateway's.
    """

    def __init__(self, me: Signer, gateway_signer: Signer, gateway: str, hosts: Mapping[str, str], seed: int) -> None:
        self.me = me
        self.gateway = gateway
        self.hosts = hosts
        self.url = ""
        self.rng = random.Random(f"trader {seed}")
        self._gateway_signer = gateway_signer
        self._heard: defaultdict[str, deque[Json]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._local = threading.local()

    # --- what it hears ---

    def hear(self, call: Json) -> None:
        """Keep a message, and answer two of three well."""
        action = call["context"]["action"]
        self._heard[action].append(call)
        following = [name for name, after in AFTER.items() if after == action]
        if following and self.rng.random() < 0.67:
            with suppress(requests.RequestException, LookupError, TypeError):
                self.say(self.rng.choice(following), call)

    def say(self, action: str, heard: Json) -> None:
        """Send the good message that follows one that was heard."""
        call = self.next_call(action, heard)
        body = json.dumps(call).encode()
        to = recipient(call)
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        post(self._local.session, f"{self.hosts[to]}/{to}/{action}", body, self.signed(body)).close()

    # --- what it says ---

    def good_call(self, action: str, rng: random.Random) -> Json | None:
        """A good message for a state that some trade is or was in; None before any came so far."""
        if action in ("search", "select"):
            return self._first(action)
        heard = self._heard[AFTER[action]]
        try:
            return self.next_call(action, rng.choice(list(heard))) if heard else None
        except (LookupError, TypeError):  # what was heard has no such part
            return None

    def next_call(self, action: str, heard: Json) -> Json:
        """The good message that follows; LookupError or TypeError when what was heard allows none."""
        context = heard["context"]
        callback = action.startswith("on_")
        message = MESSAGES[action](heard["message"])
        other = (context["bap_id"] if callback else context["bpp_id"]).partition(".")[0]
        return self.call(action, other, message, context["transaction_id"], context["message_id"] if callback else None)

    def call(
        self, action: str, to: str, message: Any, transaction: str | None = None, message_id: str | None = None
    ) -> Json:
        """A message with a good context."""
        mine, theirs = (PUPPET, self.url), (f"{to}.default", f"{self.hosts.get(to, self.gateway)}/{to}")
        now = time.time()
        return good_call(action, mine, theirs, message, now=now, transaction=transaction, message_id=message_id)

    def signed(self, body: bytes, by: Signer | None = None) -> dict[str, str]:
        """Headers with the signatures of the sender and, as on a search, of the gateway."""
        now = int(time.time())
        return {
            "content-type": "application/json",
            AUTHORIZATION: (by or self.me).sign(body, created=now, expires=now + 30),
            GATEWAY_AUTHORIZATION: self._gateway_signer.sign(body, created=now, expires=now + 30),
        }

    def _first(self, action: str) -> Json | None:
        slots = [call["message"]["intent"]["fulfillment"] for call in list(self._heard["search"])[-1:]]
        if not slots:
            return None
        slot = {"id": "slot", "type": "energy", "stops": slots[0]["stops"][:1]}
        start = slot["stops"][0]["time"]["range"]["start"]
        if action == "search":
            intent = {"item": {"descriptor": {"code": "energy"}, "quantity": quantity("0.100")}, "fulfillment": slot}
            return self.call("search", "roof-0", {"intent": intent})
        item = {"id": f"energy-{int(datetime.fromisoformat(start).timestamp())}", "quantity": quantity("0.100")}
        order = {"provider": {"id": "roof-0.default"}, "items": [item], "fulfillments": [slot]}
        return self.call("select", "roof-0", {"order": order})


@contextmanager
def listening(trader: Trader) -> Iterator[None]:
    """Take what is sent to the trader, at a loopback port, while the block runs."""
    answer = ack()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            trader.hear(json.loads(body))

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A pod that hangs up is no event."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        trader.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


# --- the message that follows, made of the one that was heard ---


def _select(message: Json) -> Json:
    provider = message["catalog"]["providers"][0]
    item = provider["items"][0]
    order = {
        "provider": {"id": provider["id"]},
        "items": [{"id": item["id"], "quantity": quantity("0.100")}],
        "fulfillments": [f for f in provider["fulfillments"] if f["id"] in item["fulfillment_ids"]][:1],
    }
    return {"order": order}


def _on_search(message: Json) -> Json:
    intent = message["intent"]
    slot = {"id": "slot", "type": "energy", "stops": intent["fulfillment"]["stops"][:1]}
    return catalog("cheap", PRICE, intent["item"]["quantity"]["selected"], slot)


def _on_select(message: Json) -> Json:
    wanted_wh = round(float(message["order"]["items"][0]["quantity"]["selected"]["measure"]["value"]) * 1000)
    price = f"{wanted_wh * round(float(PRICE) * 1_000_000) / 1e9:.6f}"
    return {"order": {**message["order"], "quote": {"price": {"currency": "EUR", "value": price}, "ttl": "PT20S"}}}


def _cancel(message: Json) -> Json:
    return {"order_id": message["order"]["id"], "cancellation_reason_id": "changed-my-mind"}


AFTER = {
    "select": "on_search",
    "init": "on_select",
    "confirm": "on_init",
    "status": "on_confirm",
    "cancel": "on_confirm",
    "update": "on_status",
    "on_search": "search",
    "on_select": "select",
    "on_init": "init",
    "on_confirm": "confirm",
    "on_status": "confirm",
    "on_cancel": "confirm",
    "on_update": "update",
}
"""Each action, and the one it follows. on_status and on_cancel come unasked, as a seller may send them."""

MESSAGES: dict[str, Callable[[Json], Json]] = {
    "select": _select,
    "init": lambda message: taken(message["order"]),
    "confirm": lambda message: message,
    "status": lambda message: {"order_id": message["order"]["id"]},
    "cancel": _cancel,
    "update": lambda message: paid(message["order"]),
    "on_search": _on_search,
    "on_select": _on_select,
    "on_init": lambda message: agreed(message["order"], f"order-{uuid.uuid4()}"),
    "on_confirm": lambda message: {"order": {**message["order"], "status": "ACTIVE"}},
    "on_status": lambda message: delivered(message["order"]),
    "on_cancel": lambda message: cancelled(message["order"]),
    "on_update": lambda message: {"order": {**message["order"], "status": "COMPLETE"}},
}
