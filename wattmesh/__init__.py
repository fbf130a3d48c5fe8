"""wattmesh in Python: studies of peer-to-peer energy markets, and their results as pandas DataFrames.

`Study.from_manifests` takes manifests: files, plain values, or the resources' own models, which are here, too.
`Study.run` runs the study and gives `Results`; `sweep` runs variants of it. Frames need the extra `study`:
`pip install 'wattmesh[study]'`.
"""

from wattmesh.results import Results
from wattmesh.study import Study
from wattmesh.sweeps import sweep
from wattmesh_cli.audit import AuditResult, Finding
from wattmesh_cli.books import BooksError
from wattmesh_operator.resources import (
    Battery,
    BecknGateway,
    BecknGatewaySpec,
    Clock,
    ConfigMapRef,
    DemandResponse,
    Ev,
    GatewayRef,
    HeatPump,
    Load,
    ObjectMeta,
    PriceColumns,
    PriceSeries,
    Profile,
    Pv,
    Resource,
    Roof,
    Sharing,
    ShiftableLoad,
    SolarAgent,
    SolarAgentSpec,
    Tariff,
    TariffPeriod,
    Trading,
    UtilityAgent,
    UtilityAgentSpec,
    UtilityRef,
    VehicleToHome,
    Window,
)
from wattmesh_operator.resources.mistakes import ManifestErrors

__all__ = [
    "AuditResult",
    "Battery",
    "BecknGateway",
    "BecknGatewaySpec",
    "BooksError",
    "Clock",
    "ConfigMapRef",
    "DemandResponse",
    "Ev",
    "Finding",
    "GatewayRef",
    "HeatPump",
    "Load",
    "ManifestErrors",
    "ObjectMeta",
    "PriceColumns",
    "PriceSeries",
    "Profile",
    "Pv",
    "Resource",
    "Results",
    "Roof",
    "Sharing",
    "ShiftableLoad",
    "SolarAgent",
    "SolarAgentSpec",
    "Study",
    "Tariff",
    "TariffPeriod",
    "Trading",
    "UtilityAgent",
    "UtilityAgentSpec",
    "UtilityRef",
    "VehicleToHome",
    "Window",
    "sweep",
]
