"""Calls of a wrong form, and wrong signatures."""

from __future__ import annotations

from tests.beckn.support import GONE
from tests.street.puppet import STRANGER
from tests.street.spoiling import (
    DECIMAL,
    MEASURE,
    NO_SLOT,
    QUANTITY,
    RANGE,
    UNKNOWN_ORDER,
    UUID_PATTERN,
    WRONG_SIGNATURE,
    Case,
    bad,
    not_found,
    ordered,
    time_range,
    unauthorized,
    wall_time,
)
from wattmesh_beckn.context import ACTIONS
from wattmesh_beckn.receiver import MAX_BODY_BYTES
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer

FORM = [
    Case(
        "select",
        "oversize body",
        (413, "30000", f"body is {MAX_BODY_BYTES + 1} bytes; at most {MAX_BODY_BYTES} are read", None),
        raw=b" " * (MAX_BODY_BYTES + 1),
    ),
    Case(
        "select",
        "broken JSON",
        bad("body is not JSON: EOF while parsing a value at line 1 column 11"),
        raw=b'{"context":',
    ),
    Case("select", "empty body", bad("body is not JSON: EOF while parsing a value at line 1 column 0"), raw=b""),
    Case("select", "a list", bad("body must be a JSON object with context and message"), raw=b"[]"),
    Case("select", "NaN", bad("body is not JSON: expected value at line 1 column 13"), raw=b'{"context": NaN}'),
    Case(
        "select",
        "unknown action",
        not_found("no action 'rate' here; there are " + ", ".join(sorted(ACTIONS))),
        action="rate",
    ),
    Case("select", "unknown household", not_found("no household 'nobody' here; there are roof-0"), household="nobody"),
    Case(
        "select", "no context", unauthorized("signed by 'puppet.default' but context.bap_id is None"), {"context": GONE}
    ),
    Case(
        "select",
        "context of a wrong type",
        unauthorized("signed by 'puppet.default' but context.bap_id is None"),
        {"context": 7},
    ),
    Case("select", "no message", bad("message: Field required", "message"), {"message": GONE}),
    Case(
        "select",
        "order of a wrong type",
        bad("message.order: Input should be a valid dictionary or instance of SelectOrder", "message.order"),
        {"message.order": "energy"},
    ),
    Case(
        "select",
        "two items",
        bad("item 'energy-1782022500' stands twice in the order", "message.order.items.1.id"),
        {"message.order.items": lambda _, items: items * 2},
    ),
    Case(
        "select",
        "action of another call",
        bad("context.action is 'init' but the call was 'select'", "context.action"),
        {"context.action": "init"},
    ),
    Case(
        "select",
        "wrong domain",
        bad("domain 'uei:charging' is not traded here; use 'uei:p2p_trading'", "context.domain"),
        {"context.domain": "uei:charging"},
    ),
    Case(
        "select",
        "wrong version",
        bad("version '0.9.4' is not spoken here; use '1.1.0'", "context.version"),
        {"context.version": "0.9.4"},
    ),
    Case(
        "select",
        "for another household",
        bad("context.bpp_id is 'low-0.default' but this is 'roof-0.default'", "context.bpp_id"),
        {"context.bpp_id": "low-0.default"},
    ),
    Case("select", "no bpp_uri", bad("select needs context.bpp_uri", "context.bpp_uri"), {"context.bpp_uri": GONE}),
    Case(
        "select",
        "transaction id that is no UUID",
        bad(f"context.transaction_id: String should match pattern {UUID_PATTERN}", "context.transaction_id"),
        {"context.transaction_id": "1"},
    ),
    Case(
        "select",
        "expired ttl",
        bad("message expired at {minus30} (timestamp + ttl); this clock says {now}", "context.ttl"),
        {"context.timestamp": wall_time(-60)},
    ),
    Case(
        "select",
        "future timestamp",
        bad(
            "timestamp {plus60} is ahead of this clock, {now}, by more than 5 s; set the sender's clock",
            "context.timestamp",
        ),
        {"context.timestamp": wall_time(60)},
    ),
    Case(
        "select",
        "zero ttl",
        bad("ttl must be more than 0 s and at most 3600 s", "context.ttl"),
        {"context.ttl": "PT0S"},
    ),
    Case(
        "select",
        "ttl of a day",
        bad("ttl must be more than 0 s and at most 3600 s", "context.ttl"),
        {"context.ttl": "P1D"},
    ),
    Case("select", "negative quantity", bad(f"{QUANTITY}: {DECIMAL}'-1'", QUANTITY), ordered("-1")),
    Case("select", "zero quantity", bad(f"{MEASURE}: must be more than 0 kWh", MEASURE), ordered("0.000")),
    Case(
        "select",
        "absurd quantity",
        bad(f"{QUANTITY}: 1000001.000 kWh is more than 1000000.000 kWh, the most one order can hold", QUANTITY),
        ordered("1000001"),
    ),
    Case("select", "quantity as a number", bad(f"{QUANTITY}: {DECIMAL}1.5", QUANTITY), ordered(1.5)),
    Case("select", "quantity that is infinite", bad(f"{QUANTITY}: {DECIMAL}'inf'", QUANTITY), ordered("inf")),
    Case(
        "select",
        "range that is no slot",
        bad(f"2026-06-21T06:15:00+00:00 to 2026-06-21T07:15:00+00:00 {NO_SLOT}", RANGE),
        {RANGE: time_range(0, 3600)},
    ),
    Case(
        "select",
        "range off the quarter hour",
        bad(f"2026-06-21T06:16:00+00:00 to 2026-06-21T06:31:00+00:00 {NO_SLOT}", RANGE),
        {RANGE: time_range(60)},
    ),
    Case(
        "select",
        "range that runs backwards",
        bad(f"{RANGE}: end must be after start", RANGE),
        {RANGE: time_range(0, -900)},
    ),
]

SIGNATURES = [
    Case("status", "no signature", unauthorized("no signature: the header is missing"), headers=lambda _p, _b: {}),
    Case(
        "status",
        "malformed signature",
        unauthorized('malformed signature header: it must start with "Signature keyId=…"'),
        headers=lambda _p, _b: {AUTHORIZATION: "Bearer token"},
    ),
    Case(
        "status",
        "signature without created",
        unauthorized("malformed signature header: no created"),
        headers=lambda p, b: {AUTHORIZATION: p.signed(b)[AUTHORIZATION].replace("created", "made", 1)},
    ),
    Case(
        "status",
        "wrong key",
        unauthorized(WRONG_SIGNATURE),
        headers=lambda p, b: p.signed(b, Signer(p.me.subscriber_id, p.me.key_id, p.signers[STRANGER]._private_key)),
    ),
    Case(
        "status",
        "unknown subscriber",
        unauthorized("subscriber 'stranger.default' is not in the registry"),
        {"context.bap_id": STRANGER},
        headers=lambda p, b: p.signed(b, p.signers[STRANGER]),
    ),
    Case(
        "status",
        "unknown key id",
        unauthorized(
            "key '00000000-0000-0000-0000-000000000001' of subscriber 'puppet.default' is not in the registry"
        ),
        headers=lambda p, b: p.signed(b, Signer(p.me.subscriber_id, UNKNOWN_ORDER, p.me._private_key)),
    ),
    Case(
        "status",
        "expired signature",
        unauthorized("signature expired at {minus10}; this clock says {now}"),
        headers=lambda p, b: p.signed(b, created=-40, expires=-10),
    ),
    Case(
        "status",
        "signature created in the future",
        unauthorized(
            "signature created at {second60}, ahead of this clock, {now}, by more than 5 s; set the sender's clock"
        ),
        headers=lambda p, b: p.signed(b, created=60, expires=90),
    ),
    Case(
        "status",
        "body altered after it was signed",
        unauthorized(WRONG_SIGNATURE),
        headers=lambda p, b: p.signed(b + b" "),
    ),
    Case(
        "status",
        "another's name as sender",
        unauthorized("signed by 'puppet.default' but context.bap_id is 'low-0.default'"),
        {"context.bap_id": "low-0.default"},
    ),
    Case(
        "status",
        "wrong algorithm",
        unauthorized("algorithm 'rsa' in keyId is not accepted; use 'ed25519'"),
        headers=lambda p, b: {AUTHORIZATION: p.signed(b)[AUTHORIZATION].replace("ed25519", "rsa")},
    ),
    Case(
        "status",
        "two algorithms",
        unauthorized("algorithm 'hs2019' differs from 'ed25519' in keyId"),
        headers=lambda p, b: {
            AUTHORIZATION: p.signed(b)[AUTHORIZATION].replace('algorithm="ed25519"', 'algorithm="hs2019"')
        },
    ),
    Case(
        "search",
        "no gateway signature",
        unauthorized("X-Gateway-Authorization: no signature: the header is missing"),
        headers=lambda p, b: {AUTHORIZATION: p.signed(b)[AUTHORIZATION]},
    ),
    Case(
        "search",
        "gateway signature of a buyer",
        unauthorized("X-Gateway-Authorization: signed by 'puppet.default' but the gateway is 'market.default'"),
        headers=lambda p, b: {
            AUTHORIZATION: p.signed(b)[AUTHORIZATION],
            GATEWAY_AUTHORIZATION: p.signed(b)[AUTHORIZATION],
        },
    ),
    Case(
        "search",
        "gateway signature of another body",
        unauthorized(f"X-Gateway-Authorization: {WRONG_SIGNATURE}"),
        headers=lambda p, b: {**p.signed(b + b" "), AUTHORIZATION: p.signed(b)[AUTHORIZATION]},
    ),
    Case(
        "search",
        "no signature of the buyer",
        unauthorized("no signature: the header is missing"),
        headers=lambda p, b: {GATEWAY_AUTHORIZATION: p.signed(b)[GATEWAY_AUTHORIZATION]},
    ),
]
