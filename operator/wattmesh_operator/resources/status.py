"""The status of the custom resources: what the operator observed, in numbers for programs and in words for people.

What `kubectl get` shows as a column is text with fixed decimals: a JSON number would be shown as it is stored.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from wattmesh_operator.resources.values import DnsLabel, Whole

Count = Annotated[int, Whole(0, 2**53 - 1)]
Households = Annotated[int, Whole(0, 2**31 - 1)]
Signed = Annotated[int, Whole(1 - 2**53, 2**53 - 1)]

ConditionType = Literal[
    "Ready", "Registered", "Progressing", "Reconciling", "Stalled", "LedgerLost", "VolumeSizeDiffers"
]
Phase = Literal["Pending", "Ready", "Unreachable", "Waiting", "Draining"]


class StatusPart(BaseModel):
    """A mapping of a status: camelCase in YAML, and what another version of the operator wrote is read over."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True)


class Condition(StatusPart):
    """One thing that is so, is not so, or is not known, as in Kubernetes' own resources."""

    type: ConditionType = Field(
        description="What is told: Ready (it trades), Registered (the gateway's registry knows it),"
        " Progressing (it is on the way to what spec says), Reconciling and Stalled (for kstatus: it becomes ready by"
        " itself, or only when somebody corrects something), LedgerLost (there only while somebody trades with another"
        " ledger than it had), VolumeSizeDiffers (there only while a volume has another size than it shall have)."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(
        pattern="^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$", max_length=128, description="Why, as one word for programs."
    )
    message: str = Field(max_length=32768, description="Why, as a sentence for people.")
    observed_generation: Count = Field(description="The metadata.generation that this was observed for.")
    last_transition_time: AwareDatetime = Field(description="When status last changed.")


class Status(StatusPart):
    """What all kinds tell."""

    observed_generation: Count | None = Field(
        default=None, description="The metadata.generation that the rest of the status was observed for."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="What is so: Ready, Registered, Progressing, Reconciling, Stalled, and at times LedgerLost and"
        " VolumeSizeDiffers.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    ready: str | None = Field(
        default=None, max_length=32, description="How many are ready, of how many there shall be; such as 3/3."
    )


Account = Annotated[str, Field(max_length=36)]


class LostLedger(StatusPart):
    """What the ledger of a household or utility showed last that is not the one it has now."""

    name: DnsLabel = Field(description="Name of the household or utility.")
    account: Account = Field(description="The id of the ledger that is lost.")
    sold_kwh: str = Field(max_length=32, description="Energy it had sold, in kWh; such as 12.40.")
    bought_kwh: str = Field(max_length=32, description="Energy it had bought, in kWh; such as 3.05.")
    balance: str = Field(max_length=32, description="Money earned less money spent; such as -1.20 EUR.")


class TraderStatus(Status):
    """What those who trade tell."""

    lost_ledgers: tuple[LostLedger, ...] = Field(
        default=(),
        max_length=1000,
        description="Ledgers that are gone, of those that still trade; a backup that is restored takes one off.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )

    sold_kwh: str | None = Field(default=None, max_length=32, description="Energy sold so far, in kWh; such as 12.40.")
    bought_kwh: str | None = Field(
        default=None, max_length=32, description="Energy bought so far, in kWh; such as 3.05."
    )
    balance: str | None = Field(
        default=None, max_length=32, description="Money earned less money spent so far; such as -1.20 EUR."
    )
    gateway: str | None = Field(
        default=None,
        max_length=63,
        description="The gateway that gatewayRef names, or has led to when it was left out.",
    )
    rotated_keys: str | None = Field(
        default=None,
        max_length=253,
        description="The value of the annotation wattmesh.io/rotate-keys for which all have a new, registered key.",
    )


class HouseholdStatus(StatusPart):
    """One household, as it was last heard of."""

    name: DnsLabel = Field(description="Name of the household, such as rooftop-0.")
    phase: Phase = Field(
        default="Pending",
        description="Pending (its pod is not up yet), Ready (it trades), Unreachable (its pod was up and does not"
        " answer), Waiting (grid time has still to catch up with its books) or Draining (it goes, and settles its open"
        " contracts first).",
    )
    reason: str | None = Field(
        default=None, max_length=128, description="Why its pod is not up, as one word for programs."
    )
    message: str | None = Field(default=None, max_length=1024, description="Why its pod is not up, in words.")
    url: str | None = Field(default=None, max_length=2048, description="Where it receives messages.")
    level_wh: Count | None = Field(default=None, description="Energy in its battery, in Wh.")
    sold_wh: Count | None = Field(default=None, description="Energy sold so far, in Wh.")
    bought_wh: Count | None = Field(default=None, description="Energy bought so far, in Wh.")
    balance_micro: Signed | None = Field(
        default=None, description="Money earned less money spent so far, in millionths of the currency."
    )
    open_contracts: Count | None = Field(
        default=None, description="Contracts that are neither settled, expired nor cancelled."
    )
    account: Account | None = Field(default=None, description="The id of its ledger.")


class RetiredHousehold(StatusPart):
    """What a household that has left had sold, bought and earned; its ledger stays on its volume."""

    name: DnsLabel = Field(description="Name of the household.")
    sold_wh: Count = Field(description="Energy it has sold, in Wh.")
    bought_wh: Count = Field(description="Energy it has bought, in Wh.")
    balance_micro: Signed = Field(
        description="Money it has earned less money it has spent, in millionths of the currency."
    )
    account: Account | None = Field(default=None, description="The id of its ledger.")


class SolarAgentStatus(TraderStatus):
    """What was observed of a SolarAgent's households."""

    utility: str | None = Field(
        default=None,
        max_length=63,
        description="The utility that utilityRef names, or has led to when it was left out.",
    )
    replicas: Households | None = Field(default=None, description="How many households there are, ready or not.")
    ready_replicas: Households | None = Field(default=None, description="How many households are ready.")
    selector: str | None = Field(
        default=None,
        max_length=512,
        description="Label selector of the households' pods, for kubectl scale and autoscalers.",
    )
    level_wh: Count | None = Field(default=None, description="Energy in all batteries, in Wh.")
    capacity_wh: Count | None = Field(default=None, description="Energy all batteries hold when full, in Wh.")
    soc: str | None = Field(
        default=None, max_length=32, description="State of charge: levelWh as a share of capacityWh; such as 62%."
    )
    households: tuple[HouseholdStatus, ...] = Field(
        default=(),
        max_length=2000,  # those that drain come on top of the 1000 of spec.replicas
        description="Each household; of more than 100, the first 100 that are not ready.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    retired: tuple[RetiredHousehold, ...] = Field(
        default=(),
        max_length=1000,
        description="Households that have left by a scale-down; what they sold and bought stays in the totals.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class UtilityAgentStatus(TraderStatus):
    """What was observed of a UtilityAgent."""

    account: Account | None = Field(default=None, description="The id of its ledger.")


class BecknGatewayStatus(Status):
    """What was observed of a BecknGateway."""

    url: str | None = Field(default=None, max_length=2048, description="Where agents register and send searches.")
    subscribers: Count | None = Field(default=None, description="How many agents its registry holds.")
    replicas: Count | None = Field(default=None, description="How many pods there are, ready or not.")
    selector: str | None = Field(
        default=None, max_length=512, description="Label selector of its pods, for kubectl scale and autoscalers."
    )
