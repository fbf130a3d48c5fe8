"""What the operator is told at its start, as environment variables: WATTMESH_IMAGE, WATTMESH_NAMESPACES and so on."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wattmesh_operator.desired.settings import PodSettings

_PREFIX = "WATTMESH_"


def _names(value: object) -> object:
    return tuple(dict.fromkeys(value.replace(",", " ").split())) if isinstance(value, str) else value


class SettingsError(Exception):
    """Settings are missing or wrong; names each with its variable."""


class Settings(BaseSettings, PodSettings):
    """Where the operator works and answers HTTP, and what pods have."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True)

    namespaces: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_names), Field(description="Where it works, with commas between.")
    ] = ()
    all_namespaces: Annotated[bool, Field(description="Whether it works in all namespaces.")] = False
    host: Annotated[str, Field(description="Address to answer health and metrics on.")] = "0.0.0.0"  # noqa: S104 - a container's is its own
    port: Annotated[int, Field(description="Port to answer them on.")] = 8080

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if bool(self.namespaces) == self.all_namespaces:
            raise ValueError("set either WATTMESH_NAMESPACES or WATTMESH_ALL_NAMESPACES=true")
        return self


def read_settings() -> Settings:
    """From the environment. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_text(details) for details in error.errors())) from None


def _text(details: Any) -> str:
    what = details["msg"].removeprefix("Value error, ")
    return f"{_PREFIX}{str(details['loc'][0]).upper()}: {what}" if details["loc"] else what
