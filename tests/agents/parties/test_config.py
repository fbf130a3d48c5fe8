"""What a runtime refuses to be configured with."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.world.parties import battery, household, utility
from wattmesh_common.clock import utc
from wattmesh_common.runtime import ClockConfig, GatewayAddress, RuntimeConfig

ROOF = household("roof", battery())


def written() -> dict[str, Any]:
    """The configuration of a household with a battery and of a utility, as JSON values."""
    config = RuntimeConfig(
        pod="street",
        domain="uei:p2p_trading",
        currency="EUR",
        gateway=GatewayAddress(subscriber_id="market.street", url="http://market"),
        clock=ClockConfig(start=utc(0), epoch=0.0, speed=60.0),
        households=(ROOF,),
        utilities=(utility(),),
    )
    return config.model_dump(mode="json")


def test_what_is_written_is_read_back() -> None:
    config = RuntimeConfig.model_validate(written())
    assert (config.households, config.utilities) == ((ROOF,), (utility(),))


@pytest.mark.parametrize(
    ("path", "value", "mistake"),
    [
        (("households", 0, "name"), "Roof 1", "a name has at most 63"),
        (("households", 0, "feeder"), "f" * 64, "a name has at most 63"),
        (("households", 0, "subscriber_id"), "roof_0", "a subscriber id has at most 253"),
        (("households", 0, "utility_ids"), ["utility/2"], "a subscriber id has at most 253"),
        (("households", 0, "backstop", "utility_id"), "", "a subscriber id has at most 253"),
        (
            ("households", 0, "backstop", "tariff", "grid_fee_micro_per_kwh"),
            -1,
            "grid_fee_micro_per_kwh must be from 0",
        ),
        (
            ("utilities", 0, "tariff", "periods"),
            [{"start": "17:10", "end": "20:00", "price_micro_per_kwh": 1}],
            "is not on borders of slots of 15 minutes",
        ),
        (("households", 0, "battery", "capacity_wh"), 10**12 + 1, "capacity_wh must be from 0"),
        (("households", 0, "trading", "sell_price_micro_per_kwh"), -1, "sell_price_micro_per_kwh must be from 0"),
        (("households", 0, "load"), {"annual_wh": -1}, "annual_wh must be from 0"),
        (("households", 0, "pv"), [{"peak_w": -1, "latitude": 0, "longitude": 0}], "peak_w must be from 0"),
        (("households", 0, "colour"), "green", "Unexpected keyword argument"),
        (("utilities", 0, "capacity_w"), -1, "capacity_w must be from 0"),
        (("clock", "start"), "2026-06-21T06:00:00", "need a time zone"),
    ],
)
def test_what_no_street_can_have_is_refused(path: tuple[str | int, ...], value: object, mistake: str) -> None:
    config = written()
    part: Any = config
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(ValidationError, match=mistake):
        RuntimeConfig.model_validate(config)
