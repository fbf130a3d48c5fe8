"""Whether the series of prices that a street's utilities name last as long as it runs."""

from __future__ import annotations

from datetime import datetime

from wattmesh_cli.state import StateError
from wattmesh_common.price_files import series_of
from wattmesh_operator.plan import GatewayPlan


def require_prices_until(plan: GatewayPlan, end: datetime) -> None:
    """StateError when a series ends before a run does, or cannot be read any more."""
    for utility in (utility for pod in plan.pods for utility in pod.utilities):
        file = utility.tariff.file
        try:
            series = series_of(utility.tariff)
        except (OSError, ValueError) as error:
            raise StateError(f"UtilityAgent {utility.name}: {error}") from None
        if series is not None and file is not None and series.end < end.timestamp():
            last = datetime.fromtimestamp(series.end, end.tzinfo)
            raise StateError(
                f"UtilityAgent {utility.name}: spec.tariff.series: {file.path} has prices until"
                f" {last:%Y-%m-%d %H:%M}, and the run ends {end:%Y-%m-%d %H:%M}: give prices until then, or run fewer"
                " days"
            )
