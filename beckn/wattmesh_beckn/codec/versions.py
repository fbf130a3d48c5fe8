"""The codecs of all versions of Beckn that a network speaks."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.codec.port import Codec
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.codec.v2.messages import network_of
from wattmesh_beckn.codec.v2.writing import ACTIONS as ACTIONS_V2
from wattmesh_beckn.codec.v2.writing import NAMES
from wattmesh_common.fields import Protocols, ProtocolVersion
from wattmesh_common.runtime import SCHEMA_HOST, Vocabulary
from wattmesh_market.trade.messages import Action

BOTH: Protocols = ("v1", "v2")
ACTIONS: Mapping[str, Action] = {**{action.value: action for action in Action}, **ACTIONS_V2}
"""What a call is called among parties, by its name in any version."""


def name_of(action: Action, protocol: ProtocolVersion) -> str:
    """What an action is called in a version."""
    return NAMES[action] if protocol == "v2" else action.value


def codecs_of(
    protocols: Protocols,
    currency: str,
    gateway_id: str = "",
    utc_offset_s: int = 0,
    vocabulary: Vocabulary = "core",
    schema_host: str = SCHEMA_HOST,
) -> Mapping[ProtocolVersion, Codec]:
    """A codec for each version of a network; who only reads need not know its gateway."""
    found: dict[ProtocolVersion, Codec] = {}
    if "v1" in protocols:
        found["v1"] = CodecV1(currency, utc_offset_s, vocabulary)
    if "v2" in protocols:
        found["v2"] = CodecV2(currency, network_of(gateway_id), utc_offset_s=utc_offset_s, schema_host=schema_host)
    return found
