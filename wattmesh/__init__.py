"""wattmesh in Python: studies of peer-to-peer energy markets, and their results as pandas DataFrames.

`Study.from_manifests` takes manifests: files, plain values, or the resources' own models, which are here, too.
`Study.run` runs the study and gives `Results`; `sweep` runs variants of it. Frames need the extra `study`:
`pip install 'wattmesh[study]'`. What plug-ins see and answer is here, too: `StrategyView`, `Buy`, `Sell`, `Hold`, …
"""

from wattmesh.results import Results
from wattmesh.study import PluginWarning, Study
from wattmesh.sweeps import sweep
from wattmesh_cli.audit import AuditResult, Finding
from wattmesh_cli.books import BooksError
from wattmesh_market.energy.devices.demand import DeviceWindow
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.mechanisms.orders import Match, Order, Orders
from wattmesh_market.pricing import Pricing, PricingView
from wattmesh_market.strategies import Buy, Hold, OwnTrade, Sell, SlotAhead, StrategyView
from wattmesh_market.trade.offers import Block
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
    "Block",
    "BooksError",
    "Buy",
    "Clock",
    "ConfigMapRef",
    "DemandResponse",
    "DeviceWindow",
    "Ev",
    "Finding",
    "GatewayRef",
    "HeatPump",
    "Hold",
    "Load",
    "ManifestErrors",
    "Match",
    "ObjectMeta",
    "Order",
    "Orders",
    "OwnTrade",
    "PluginWarning",
    "PriceColumns",
    "PriceSeries",
    "Pricing",
    "PricingView",
    "Profile",
    "Pv",
    "Resource",
    "Results",
    "Roof",
    "Sell",
    "Sharing",
    "ShiftableLoad",
    "SlotAhead",
    "SlotProfile",
    "SolarAgent",
    "SolarAgentSpec",
    "StrategyView",
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
