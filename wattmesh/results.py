"""What a run came to: its books as DataFrames, KPIs, report and audit.

Energy is in Wh and money in millionths of the gateway's currency (`micro`), both whole numbers, as the ledger counts
them; KPIs are in kWh, kW and currency. `party`, `buyer`, `seller` are subscriber ids such as `roof-0.default`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wattmesh import frames
from wattmesh_cli.audit import AuditResult, audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Pair, Reading, paired
from wattmesh_cli.evaluation import Evaluation, evaluate
from wattmesh_cli.kpi import collect
from wattmesh_cli.kpi_forms import kpi_rows

if TYPE_CHECKING:
    from pandas import DataFrame

_OF_ONE_SIDE = frozenset({"party", "side", "counterparty", "slot"})
_READING = [field.name for field in fields(Reading) if field.name not in ("slot", "devices")]
_CONTRACT = ["buyer", "seller", *(field.name for field in fields(ContractRow) if field.name not in _OF_ONE_SIDE)]
_LEDGER = [field.name for field in fields(LedgerEntry) if field.name != "slot"]
_NULLABLE = [field.name for field in fields(ContractRow) if field.type == "int | None"]


class _Taken(NamedTuple):
    """A row of `Results.devices`."""

    slot: int
    party: str
    device: str
    begin: datetime
    end: datetime
    needs_wh: int
    taken_wh: int
    left_wh: int
    charged_wh: int
    discharged_wh: int
    level_before_wh: int
    level_after_wh: int


class Results:
    """The results of a run: of `Study.run`, or of the state directory that `wattmesh simulate` or `up` has written.

    Each frame is read when it is first asked for, and has the delivery slot's start as its index: a DatetimeIndex in
    the street's local time, with time zone. Frames raise MissingExtra (an ImportError) without the extra `study`, and
    BooksError when the directory holds no run.
    """

    def __init__(self, state: str | PathLike[str]) -> None:
        """`state` is the run's directory."""
        self.state = Path(state)

    @cached_property
    def readings(self) -> DataFrame:
        """Meter readings: a row for each household and slot.

        `party`; `level_before_wh`, `level_after_wh` (stored), `capacity_wh`; `pv_wh`, `load_wh`, `bought_wh`,
        `sold_wh`, `imported_wh`, `exported_wh`, `losses_wh`, `covered_wh`; `state`; `carried_uwh` (millionths of a
        Wh); `local_micro_per_kwh`, `stored_micro_per_kwh` (what its plan thinks a kWh is worth); and for each device by
        name what it took of the load, such as `ev_wh`, `heat_pump_wh` (0 for who has none). Source: the books'
        readings, in which level_after - level_before = pv - load + bought - sold + imported - exported - losses.
        """
        rows = [row for book in self._books for row in book.readings]
        frame = frames.of_rows(rows, _READING, self._evaluation.zone)
        taken = [{device.name: device.taken_wh for device in row.by_device} for row in rows]
        for name in sorted({name for of_row in taken for name in of_row}):
            frame[f"{name.replace('-', '_')}_wh"] = [of_row.get(name, 0) for of_row in taken]
        return frame

    @cached_property
    def devices(self) -> DataFrame:
        """What devices took: a row for each device and slot of its windows.

        `party`, `device`; `begin` and `end` of the window (local time; its last slot ends then), `needs_wh` in it,
        `taken_wh` in the slot (a part of the household's load), `left_wh` after it; of a car's store that the house may
        use `charged_wh`, `discharged_wh`, and `level_before_wh` and `level_after_wh` (parts of the reading's), else 0.
        Source: the books' readings.
        """
        zone = self._evaluation.zone
        rows = [
            _Taken(
                row.slot,
                row.party,
                device.name,
                datetime.fromtimestamp(device.begin, zone),
                datetime.fromtimestamp(device.end, zone),
                device.needs_wh,
                device.taken_wh,
                device.left_wh,
                device.charged_wh,
                device.discharged_wh,
                device.level_before_wh,
                device.level_after_wh,
            )
            for book in self._books
            for row in book.readings
            for device in row.by_device
        ]
        return frames.of_rows(rows, _Taken._fields[1:], zone)

    @cached_property
    def contracts(self) -> DataFrame:
        """Contracts: a row for each delivery, as its seller holds it (where the seller has no record, the buyer), with
        what its buyer alone knows: `searched_ms`, `offered_micro_per_kwh`, `offers`.

        `buyer`, `seller`, `transaction_id`, `item_id`, `energy_wh`, `amount_micro` (with `fee_micro`), `state`,
        `order_id`, `delivered_wh` and `settled_micro` (missing until known), `in_doubt`, `reason`; `created_ms`,
        `searched_ms` and `confirmed_ms` in ms of wall clock. Source: the books' contracts.
        """
        pairs = paired(row for book in self._books for row in book.contracts)
        return frames.of_rows(map(_delivery, pairs), _CONTRACT, self._evaluation.zone, nullable=_NULLABLE)

    @cached_property
    def ledger(self) -> DataFrame:
        """Bookings: a row for each entry of each party; all together sum to zero.

        `party`, `kind` (trade, backstop, shared, grid_fee), `counterparty`, `reference`, `energy_wh` (received is
        positive), `amount_micro` (earned is positive). Source: the books' ledgers.
        """
        return frames.of_rows((row for book in self._books for row in book.ledger), _LEDGER, self._evaluation.zone)

    @cached_property
    def kpis(self) -> DataFrame:
        """KPIs of the whole run: a row for each household, the last for the `community`.

        The index `start` is the run's first slot; `party`, and a column for each KPI that `wattmesh kpis --output json`
        has: energy in kWh, power in kW, money in currency, shares as parts of 1; NaN where undefined, and in rows of
        households where it is the community's alone. Source: docs/kpis.md defines each.
        """
        return frames.at_times(frames.of_values(self.kpi_rows()), "start", self._evaluation.zone)

    @cached_property
    def prices(self) -> DataFrame:
        """Prices in each slot: a row for each utility with households.

        `utility`; `tariff_micro_per_kwh` (grid fee included), `feed_in_micro_per_kwh`; `local_micro_per_kwh`, what a
        kWh cost between households on its feeder, without grid fee, weighted by volume, missing where they traded none.
        Source: the manifests' tariffs, and trade and sharing in the ledger.
        """
        from wattmesh_cli.report.series import metered, traded, utility_prices

        asked, rows = self._evaluation, collect(self._books)
        homes = asked.terms.households
        customers = {homes[name].backstop.utility_id: name for name in rows.households}
        slots = [row.slot for row in metered(rows, rows.households, asked.slots)]
        found: list[dict[str, object]] = []
        for of in utility_prices(asked.terms.prices, customers, slots):
            feeder = homes[customers[of.utility]].feeder
            near = replace(rows, households=tuple(name for name in rows.households if homes[name].feeder == feeder))
            local = [one.local_price_micro_per_kwh for one in traded(near, slots)]
            found += [
                {
                    "slot": slot,
                    "utility": of.utility,
                    "tariff_micro_per_kwh": tariff,
                    "feed_in_micro_per_kwh": feed_in,
                    "local_micro_per_kwh": price,
                }
                for slot, tariff, feed_in, price in zip(slots, of.tariff_micro, of.feed_in_micro, local, strict=True)
            ]
        frame = frames.of_values(found).astype({"local_micro_per_kwh": "Int64"})
        return frames.at_times(frame, "slot", asked.zone)

    def kpi_rows(self) -> list[dict[str, object]]:
        """KPIs as plain values, by party; what `kpis` is a frame of. `start` is in unix seconds. Needs no extra."""
        start = min(party.first_slot for book in self._books for party in book.parties)
        found: dict[str, dict[str, object]] = {}
        for party, kpi, value in kpi_rows(self._evaluation.kpis):
            row = found.setdefault(party, {"start": start, "party": party})
            row[kpi] = float("nan") if value == "" else float(str(value))
        return list(found.values())

    def audit(self) -> AuditResult:
        """Everything recomputed from the rows with code of its own; `findings` is empty when the books are right."""
        return audit(self._books, below_zero=self._evaluation.record.declared.below_zero)

    def report(self, path: str | PathLike[str]) -> None:
        """Write the report of the run to `path`: one HTML file with plots, bills, KPIs, audit and manifests. BooksError
        when it cannot be written.
        """
        from wattmesh_cli.commands.report import write_report

        write_report(self._evaluation, self.state, Path(path))

    def to_parquet(self, folder: str | PathLike[str]) -> None:
        """Write all six frames to `folder`, as readings.parquet and so on; makes the folder. OSError, MissingExtra."""
        frames.require_parquet()  # before minutes of work
        tables = {
            "readings": self.readings,
            "devices": self.devices,
            "contracts": self.contracts,
            "ledger": self.ledger,
            "kpis": self.kpis,
            "prices": self.prices,
        }
        frames.write_parquet(tables, Path(folder))

    @property
    def _books(self) -> tuple[Book, ...]:
        return self._evaluation.books

    @cached_property
    def _evaluation(self) -> Evaluation:
        return evaluate([], self.state, None, None)


def _delivery(pair: Pair) -> ContractRow:
    buyer = pair.buyer
    if buyer is None:
        return pair.known
    return replace(
        pair.known,
        searched_ms=buyer.searched_ms,
        offered_micro_per_kwh=buyer.offered_micro_per_kwh,
        offers=buyer.offers,
    )
