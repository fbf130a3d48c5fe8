"""The rules over several fields, and over a field's old and new value, in CEL: an API server refuses what breaks them.

They mirror the validators of the models, which say it in the same words; only what may not change is told here alone,
as a manifest by itself has no past. Optional fields without a default in the schema are read with `.?field` or `has`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from wattmesh_common.forget import FORGOTTEN, FORGOTTEN_IS_TAKEN
from wattmesh_operator.plan.references import MAX_NAME_LENGTH
from wattmesh_operator.resources import (
    Battery,
    BecknGatewaySpec,
    Clock,
    Ev,
    HeatPump,
    PriceSeries,
    Profile,
    Pv,
    ShiftableLoad,
    SolarAgent,
    SolarAgentSpec,
    Tariff,
    TariffPeriod,
    Trading,
    UtilityAgent,
)
from wattmesh_operator.resources.devices import TAKEN
from wattmesh_operator.resources.solar_agent import DEFAULT_THRESHOLDS


@dataclass(frozen=True)
class Rule:
    """An entry of x-kubernetes-validations; `field` is the one the error names, None for the mapping itself."""

    expression: str
    message: str
    field: str | None = None

    def entry(self) -> dict[str, str]:
        """As a CustomResourceDefinition writes it."""
        entry = {"rule": self.expression, "message": self.message}
        return entry if self.field is None else {**entry, "fieldPath": f".{self.field}"}


@dataclass(frozen=True)
class Immutable:
    """A field that stays as it was made: `why`, and what to do `instead`. It has a default or is required."""

    why: str
    instead: str

    def rule(self) -> Rule:
        """That the value does not change; a rule of the field itself, so that it need not be in a mapping's default."""
        return Rule("self == oldSelf", f"is immutable: {self.why}; {self.instead}")

    @property
    def description(self) -> str:
        """What the field's description adds."""
        return f"Immutable: {self.why}."


def _wh(kwh: str) -> str:
    """CEL for a quantity in kWh as whole Wh: comparing shares in binary floating point would be off by a hair."""
    return f"int({kwh} * 1000.0 + 0.5)"


def _possible(window: str, kwh: str, kw: str) -> Rule:
    """A device's power is enough for what it needs in its window: whole Wh in each quarter of an hour."""
    start, end = (f"duration(self.{window}.{at}.replace(':', 'h') + 'm').getMinutes()" for at in ("from", "to"))
    slots = f"(({end} - {start} + 1439) % 1440 + 1) / 15"
    power_wh = f"int(self.{kw} * 1000.0 + 0.5) * 900 / 3600"
    return Rule(
        f"{_wh(f'self.{kwh}')} <= {slots} * ({power_wh})",
        f"must be at most what {kw} gives within {window}",
        kwh,
    )


_BUY_BELOW, _BUY_TARGET, _SELL_ABOVE = (
    f"self.?{field}.orValue({float(default)})"
    for field, default in zip(
        ("buyBelowPercent", "buyTargetPercent", "sellAbovePercent"), DEFAULT_THRESHOLDS, strict=True
    )
)
_OF_RULES = " || ".join(
    f"has(self.trading.{field})" for field in ("buyBelowPercent", "buyTargetPercent", "sellAbovePercent", "pricing")
)
_RULES_DECIDE = f"has(self.strategy) && self.strategy == 'rules' || {_OF_RULES}"
# The size of each part, not of the whole: what puts texts together costs more than an API server allows.
_LAST_HOUSEHOLD = "size(self.metadata.name) + size('-') + size(string(self.spec.replicas - 1))"
_LAST_POD = (
    "size(self.metadata.name) + size('-pod-') + size(string((self.spec.replicas - 1) / self.spec.householdsPerPod))"
)
_NEW_GATEWAY = "make a new BecknGateway"

IMMUTABLE: Mapping[type[BaseModel], Mapping[str, Immutable]] = {
    SolarAgentSpec: {
        "householdsPerPod": Immutable(
            "a change would move households to pods without their ledgers", "make a new SolarAgent"
        ),
    },
    BecknGatewaySpec: {
        "domain": Immutable("open contracts and the registry's entries are of this domain", _NEW_GATEWAY),
        "currency": Immutable("all ledgers of the market count in it", _NEW_GATEWAY),
    },
    Clock: {
        "start": Immutable("the slots in all ledgers of the market are counted from it", _NEW_GATEWAY),
        "speed": Immutable("a change would make grid time jump, away from the slots in all ledgers", _NEW_GATEWAY),
    },
}

_NOT_FORGOTTEN = Rule(f"self.metadata.name != '{FORGOTTEN}'", f"is reserved: {FORGOTTEN_IS_TAKEN}", "metadata.name")

RULES: Mapping[type[BaseModel], tuple[Rule, ...]] = {
    UtilityAgent: (_NOT_FORGOTTEN,),
    SolarAgent: (
        _NOT_FORGOTTEN,
        Rule(
            f"self.spec.replicas == 0 || {_LAST_HOUSEHOLD} <= {MAX_NAME_LENGTH}",
            f"is too long: the name of the last household, metadata.name-(replicas - 1), must have at most"
            f" {MAX_NAME_LENGTH} characters",
            "metadata.name",
        ),
        Rule(
            f"self.spec.replicas == 0 || self.spec.householdsPerPod == 1 || {_LAST_POD} <= {MAX_NAME_LENGTH}",
            f"is too long: the name of the last pod, metadata.name-pod-(number of pods - 1), must have at most"
            f" {MAX_NAME_LENGTH} characters",
            "metadata.name",
        ),
    ),
    SolarAgentSpec: (
        Rule(
            "has(self.battery) || has(self.pv) || has(self.load) || has(self.profile) || has(self.ev)"
            " || has(self.heatPump) || size(self.shiftable) > 0",
            "needs at least one of battery, pv, load, ev, heatPump, shiftable and profile",
        ),
        Rule(
            "self.shiftable.all(one, self.shiftable.exists_one(other, other.name == one.name))",
            "each needs a name of its own",
            "shiftable",
        ),
        Rule(
            "!has(self.profile) || !has(self.pv) && !has(self.load)",
            "replaces pv and load: leave out pv and load, or leave out profile",
            "profile",
        ),
        Rule(
            "has(self.battery) || !has(self.trading.buyBelowPercent) && !has(self.trading.buyTargetPercent)"
            " && !has(self.trading.sellAbovePercent)",
            "buyBelowPercent, buyTargetPercent and sellAbovePercent are shares of a battery's capacity, and there is"
            " none; add spec.battery or leave them out",
            "trading",
        ),
        Rule(
            f"!has(self.strategy) || !(self.strategy in ['plan', 'chat']) || !({_OF_RULES})",
            "buyBelowPercent, buyTargetPercent, sellAbovePercent and pricing are for rules, and with strategy plan or"
            " chat the worth of stored energy decides; leave them out, or write strategy: rules",
            "trading",
        ),
        Rule(
            f"!has(self.battery) || !({_RULES_DECIDE}) || {_wh('self.battery.minKwh')} * 1000000"
            f" <= int({_BUY_BELOW.replace('self.', 'self.trading.', 1)} * 10000.0 + 0.5)"
            f" * {_wh('self.battery.capacityKwh')}",
            f"buyBelowPercent ({DEFAULT_THRESHOLDS.buy_below} if left out) must be at least the share of the battery"
            " that is its minKwh: minKwh / capacityKwh * 100",
            "trading",
        ),
    ),
    BecknGatewaySpec: (
        Rule(
            "self.?replicas.orValue(1) == 1 || has(self.database)",
            "more than 1 need a database that they share; add spec.database",
            "replicas",
        ),
    ),
    Ev: (_possible("plugged", "needsKwh", "chargerKw"),),
    HeatPump: (_possible("window", "kwh", "kw"),),
    ShiftableLoad: (
        _possible("window", "kwh", "kw"),
        Rule(f"!(self.name in {sorted(TAKEN)})", f"must be another name than {', '.join(sorted(TAKEN))}", "name"),
    ),
    Pv: (Rule("has(self.peakKw) != (size(self.roofs) > 0)", "needs exactly one of peakKw and roofs"),),
    Profile: (
        Rule(
            "[has(self.csv), has(self.folder), has(self.configMap)].exists_one(written, written)",
            "needs exactly one of csv, folder and configMap",
        ),
        Rule(
            "!has(self.csv) && !has(self.folder)",
            "csv and folder are read by `wattmesh up` only; in a cluster use configMap, with a key <household>.csv for"
            " each household",
        ),
    ),
    Battery: (
        Rule("self.initialKwh <= self.capacityKwh", "must be at most capacityKwh", "initialKwh"),
        Rule("self.minKwh <= self.initialKwh", "must be at most initialKwh", "minKwh"),
    ),
    Trading: (
        Rule(
            f"{_BUY_BELOW} <= {_BUY_TARGET} && {_BUY_TARGET} <= {_SELL_ABOVE}",
            "must be buyBelowPercent ≤ buyTargetPercent ≤ sellAbovePercent"
            f" ({', '.join(map(str, DEFAULT_THRESHOLDS))} where left out)",
        ),
    ),
    TariffPeriod: (Rule("self.from != self.to", 'must differ from "from"; for the whole day set tariff.price', "to"),),
    Tariff: (
        # Each period holds at its own first minute; that of two that overlap, one starts in the other. Of those of some
        # days or months the operator tells.
        Rule(
            "self.periods.all(one, size(one.days) + size(one.months) > 0 || self.periods.exists_one(other,"
            " size(other.days) + size(other.months) == 0 && (other.from < other.to"
            " ? other.from <= one.from && one.from < other.to : other.from <= one.from || one.from < other.to)))",
            "must not overlap",
            "periods",
        ),
    ),
    PriceSeries: (
        Rule(
            "[has(self.csv), has(self.inline), has(self.configMap)].filter(one, one).size() == 1",
            "needs exactly one of csv, inline and configMap",
        ),
        Rule(
            "!has(self.csv)",
            "csv is read by `wattmesh up` and `simulate` only; in a cluster use configMap, with the key prices.csv,"
            " or inline",
        ),
    ),
}
