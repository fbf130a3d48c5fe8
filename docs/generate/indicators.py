"""All KPIs by name, with their values for a day of the demo's street, which is run for it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs.generate.markdown import code, table

_STREET = Path(__file__).parents[2] / "examples" / "street.yaml"
_UNITS = {"_kwh": "kWh", "_kw": "kW", "_ms_median": "ms", "_ms_p95": "ms"}
_SHARES = ("self_", "autarky", "local_share", "_gini", "_losers", "_ratio", "_of_quotes", ".ratio", ".of_load")
_MONEY = ("bill", "savings", "benefit", "worth", "grid_fees", "amount", "price", "optimum.")


def page() -> str:
    """What `wattmesh kpis --optimum --output json` has for the community, which of it each household has, and for
    utilities.
    """
    found = _kpis()
    of_household = found["households"][0]
    rows = [
        (code(name), _unit(name), "each household, community" if name in of_household else "community", _shown(value))
        for name, value in found["community"].items()
    ]
    rows += [
        (code(f"optimum.{worth}.{name}"), _unit(f"optimum.{name}"), "community", _shown(value))
        for worth, part in found["optimum"].items()
        if isinstance(part, dict)
        for name, value in part.items()
    ]
    [utility] = found["utilities"]
    rows += [
        (code(f"utilities.{name}"), _unit(name), "each utility", _shown(value))
        for name, value in utility.items()
        if name != "party"
    ]
    return table(["name", "unit", "of", "the demo's street, its first day"], rows)


def _kpis() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:

        def wattmesh(*arguments: str) -> bytes:
            command = [str(Path(sys.executable).with_name("wattmesh")), *arguments, "--state", folder]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout  # noqa: S603

        wattmesh("simulate", str(_STREET), "--jobs", "1")
        found: dict[str, Any] = json.loads(wattmesh("kpis", "--optimum", "--output", "json"))
        return found


def _unit(name: str) -> str:
    for end, unit in _UNITS.items():
        if name.endswith(end):
            return unit
    if any(part in name for part in _SHARES):
        return "share"
    return "currency" if any(part in name for part in _MONEY) else "number"


def _shown(value: object) -> str:
    return "undefined" if value is None else str(value)
