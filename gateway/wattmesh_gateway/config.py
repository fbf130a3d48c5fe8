"""What a gateway is told at its start, read from its file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from wattmesh_common.runtime import GatewayConfig
from wattmesh_gateway.ed25519 import public_key_problem
from wattmesh_gateway.problems import first_problem


class ConfigError(Exception):
    """Why a gateway cannot start with its configuration."""


def read_config(path: Path) -> GatewayConfig:
    """The configuration in a JSON file; ConfigError says what is wrong and where."""
    try:
        config = GatewayConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)[1]}") from None
    for key_id, public_key in config.registrar_keys.items():
        if problem := public_key_problem(public_key):
            raise ConfigError(f"{path}: registrar_keys.{key_id}: {problem}")
    return config
