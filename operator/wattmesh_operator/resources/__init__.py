"""The custom resources `SolarAgent`, `UtilityAgent` and `BecknGateway` of wattmesh.io/v1alpha1."""

from wattmesh_operator.resources.beckn_gateway import BecknGateway, BecknGatewaySpec, Clock
from wattmesh_operator.resources.devices import Ev, HeatPump, ShiftableLoad, VehicleToHome, Window
from wattmesh_operator.resources.resource import API_VERSION, ConfigMapRef, GatewayRef, ObjectMeta, UtilityRef
from wattmesh_operator.resources.solar_agent import (
    Battery,
    Load,
    Profile,
    Pv,
    Roof,
    SolarAgent,
    SolarAgentSpec,
    Trading,
)
from wattmesh_operator.resources.utility_agent import (
    DemandResponse,
    PriceColumns,
    PriceSeries,
    Sharing,
    Tariff,
    TariffPeriod,
    UtilityAgent,
    UtilityAgentSpec,
)

type_of_kind: dict[str, type[BecknGateway] | type[UtilityAgent] | type[SolarAgent]] = {
    "BecknGateway": BecknGateway,
    "UtilityAgent": UtilityAgent,
    "SolarAgent": SolarAgent,
}

Resource = BecknGateway | UtilityAgent | SolarAgent

__all__ = [
    "API_VERSION",
    "Battery",
    "BecknGateway",
    "BecknGatewaySpec",
    "Clock",
    "ConfigMapRef",
    "DemandResponse",
    "Ev",
    "GatewayRef",
    "HeatPump",
    "Load",
    "ObjectMeta",
    "PriceColumns",
    "PriceSeries",
    "Profile",
    "Pv",
    "Resource",
    "Roof",
    "Sharing",
    "ShiftableLoad",
    "SolarAgent",
    "SolarAgentSpec",
    "Tariff",
    "TariffPeriod",
    "Trading",
    "UtilityAgent",
    "UtilityAgentSpec",
    "UtilityRef",
    "VehicleToHome",
    "Window",
    "type_of_kind",
]
