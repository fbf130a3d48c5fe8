"""What a gateway is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from wattmesh_beckn.context import SubscriberId, Url, Uuid
from wattmesh_gateway.ed25519 import public_key_problem
from wattmesh_gateway.problems import first_problem

DOMAIN = "uei:p2p_trading"


class ConfigError(Exception):
    """Why a gateway cannot start with its configuration."""


def _sound_key(text: str) -> str:
    if problem := public_key_problem(text):
        raise ValueError(problem)
    return text


class GatewayConfig(BaseModel):
    """A gateway's identity, where it keeps its registry and who may register subscribers.

    `registrar_keys` maps a registrar's key id to its public key (base64 of 32 bytes); `url` is where subscribers
    reach the gateway.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscriber_id: SubscriberId
    url: Url
    domain: str = Field(default=DOMAIN, min_length=1, max_length=100)
    database: Path
    registrar_keys: dict[Uuid, Annotated[str, AfterValidator(_sound_key)]] = Field(min_length=1)


def read_config(path: Path) -> GatewayConfig:
    """The configuration in a JSON file; ConfigError says what is wrong and where."""
    try:
        return GatewayConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)[1]}") from None
