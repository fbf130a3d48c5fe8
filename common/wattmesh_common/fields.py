"""Types of fields that models of several packages share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wattmesh_market.ids import NAME, NAME_LENGTH, SUBSCRIBER_ID, SUBSCRIBER_ID_LENGTH

Name = Annotated[str, Field(pattern=NAME, max_length=NAME_LENGTH)]
SubscriberId = Annotated[str, Field(pattern=SUBSCRIBER_ID, max_length=SUBSCRIBER_ID_LENGTH)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
