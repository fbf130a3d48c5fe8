"""Checks of sharing: what a utility's customers shared follows from what they reported, and so does every bill."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil, floor

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.held import BY_A_PERSON
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import SLOT_S, Closing, LedgerEntry, Reported

_CLOSED_AFTER_S = 3 * SLOT_S
"""A slot is closed at the start of the third slot after it."""
_Entries = Mapping[tuple[str, int, str], list[LedgerEntry]]
"""A utility's entries of supply, by utility, slot and household."""


def check_sharing(rows: Rows) -> Iterator[Finding]:
    """Check all that was reported to utilities: when it was priced, what was shared of it, and what was billed."""
    entries: defaultdict[tuple[str, int, str], list[LedgerEntry]] = defaultdict(list)
    for entry in rows.ledger:
        if entry.kind in ("backstop", "shared") and rows.is_kind(entry.party, "utility"):
            entries[entry.party, entry.slot, entry.counterparty].append(entry)
    for (utility, slot, household), found in entries.items():
        if household not in rows.reported.get((utility, slot), {}):
            text = f"has {len(found)} supply entries of {household}, which has reported nothing"
            yield Finding("sharing-reading", utility, slot, None, text)
    for (utility, slot), reported in rows.reported.items():
        for row in reported.values():
            yield from _row(row, rows, entries[utility, slot, row.household])
        closing = rows.closings.get((utility, slot))
        in_closing = {name: row for name, row in reported.items() if row.state == "closed"}
        if closing is not None:
            yield from _closing(closing, in_closing, entries)
        elif in_closing:
            yield Finding(
                "sharing-closing", utility, slot, None, f"{len(in_closing)} readings are closed, the slot is not"
            )
    for utility, slot in rows.closings:
        if not any(row.state == "closed" for row in rows.reported.get((utility, slot), {}).values()):
            yield Finding("sharing-closing", utility, slot, None, "the slot is closed without a reading")


def _row(row: Reported, rows: Rows, entries: list[LedgerEntry]) -> Iterator[Finding]:
    """One reading: priced in time, billed for what it says, and what its household knows."""
    due = row.slot + _CLOSED_AFTER_S <= rows.parties[row.party].next_slot
    if row.state == "waiting" and (due or entries):
        yield _of(
            "sharing-closing", row, "waits for the closing, but " + ("has entries" if entries else "that is over")
        )
    if row.state == "closed" and not due:
        yield _of("sharing-closing", row, "was closed before its time")
    if row.imported_wh and row.exported_wh:
        yield _of("sharing-reading", row, f"has {row.imported_wh} Wh imported and {row.exported_wh} Wh exported")
    billed_wh = -sum(entry.energy_wh for entry in entries if entry.correction is None)
    if row.state != "waiting" and billed_wh != row.net_wh:
        yield _of("sharing-bill", row, f"was billed for {billed_wh:+d} Wh and had reported {row.net_wh:+d} Wh")
    corrections = [entry for entry in entries if entry.correction is not None]
    corrected_wh = -sum(entry.energy_wh for entry in corrections)
    held = rows.held.get((row.party, row.slot, row.household))
    by_a_person = held is not None and held.state in BY_A_PERSON
    if len(corrections) > 1 and not by_a_person:
        yield _of("sharing-bill", row, f"was corrected {len(corrections)} times")
    if row.provisional and corrected_wh:
        yield _of("sharing-bill", row, f"was corrected by {corrected_wh:+d} Wh, but its last word is still to come")
    if row.state == "alone" and any(entry.kind == "shared" for entry in entries):
        yield _of("sharing-share", row, "shares what was priced alone")
    reading = rows.readings.get(row.household, {}).get(row.slot)
    if row.provisional or reading is None:
        return
    metered_wh = reading.net_wh
    if by_a_person and reading.state != "booked":
        return  # the household has yet to hear of it
    due_wh = rows.known_wh(row) if by_a_person else row.net_wh + corrected_wh
    if reading.state == "open" or metered_wh != due_wh:
        text = f"reported {due_wh:+d} Wh; its reading is {reading.state} with {metered_wh:+d} Wh"
        yield _of("sharing-reading", row, text)


def _closing(closing: Closing, reported: Mapping[str, Reported], entries: _Entries) -> Iterator[Finding]:
    """A slot's shares and bills, recomputed from what it was closed with."""
    most = closing.tariff_micro - closing.local_fee_micro
    price = closing.price_micro
    nothing_to_share = closing.feed_in_micro > most
    if (price is None and not nothing_to_share) or (price is not None and not closing.feed_in_micro <= price <= most):
        text = f"price is {price}, feed-in {closing.feed_in_micro}, tariff less local grid fee {most} millionths"
        yield Finding("sharing-price", closing.party, closing.slot, None, text)
    shares = {} if price is None else _shares(closing, reported)
    for household, row in reported.items():
        found = entries.get((closing.party, closing.slot, household), [])
        shared = [entry for entry in found if entry.kind == "shared"]
        share_wh = abs(sum(entry.energy_wh for entry in shared))
        if closing.forgotten:
            # With whom it was shared is not known any more: all of it at most, and nothing without a price.
            if share_wh > (0 if price is None else abs(row.net_wh)):
                yield _of("sharing-share", row, f"shares {share_wh} Wh of {row.net_wh:+d} Wh")
                continue
        elif share_wh != shares.get(household, 0):
            yield _of("sharing-share", row, f"shares {share_wh} Wh; by all readings {shares.get(household, 0)} Wh")
            continue
        due_micro, due_shared_micro = _bill(closing, row.net_wh, share_wh)
        billed_micro = sum(entry.amount_micro for entry in found if entry.correction is None)
        if (billed_micro, sum(entry.amount_micro for entry in shared)) != (due_micro, due_shared_micro):
            text = (
                f"was billed {billed_micro:+d} millionths; by the closing {due_micro:+d}, {due_shared_micro:+d} shared"
            )
            yield _of("sharing-bill", row, text)
        for entry in found:
            if entry.correction is not None:
                back_micro = _correction(closing, row.net_wh, due_micro, row.net_wh - entry.energy_wh)
                if -entry.amount_micro != back_micro:
                    text = f"{-entry.amount_micro:+d} millionths were paid back; {back_micro:+d} were due"
                    yield _of("sharing-bill", row, text)


def _shares(closing: Closing, reported: Mapping[str, Reported]) -> dict[str, int]:
    """What each household shares, in Wh."""
    imports = {name: row.net_wh for name, row in reported.items() if row.net_wh > 0}
    exports = {name: -row.net_wh for name, row in reported.items() if row.net_wh < 0}
    whole_wh = min(sum(imports.values()), sum(exports.values()))
    rule = _pro_rata if closing.sharing_key == "proRata" else _equal
    return {
        name: wh for own in (imports, exports) for name, wh in _whole(rule(own, whole_wh), whole_wh, closing).items()
    }


def _pro_rata(own_wh: Mapping[str, int], whole_wh: int) -> dict[str, Fraction]:
    total_wh = sum(own_wh.values())
    return {name: Fraction(whole_wh * wh, total_wh) for name, wh in own_wh.items()}


def _equal(own_wh: Mapping[str, int], whole_wh: int) -> dict[str, Fraction]:
    """The level up to which each is served, found from the smallest up."""
    level, left, rest = Fraction(0), Fraction(whole_wh), len(own_wh)
    for wh in sorted(own_wh.values()):
        if left <= rest * (wh - level):
            level, left = level + left / rest, Fraction(0)
            break
        left -= rest * (wh - level)
        level, rest = Fraction(wh), rest - 1
    return {name: min(Fraction(wh), level) for name, wh in own_wh.items()}


def _whole(quotas: Mapping[str, Fraction], whole_wh: int, closing: Closing) -> dict[str, int]:
    """Whole Wh by largest remainder, ties by lot."""
    found = {name: floor(quota) for name, quota in quotas.items()}
    lots = {
        name: hashlib.blake2b(f"{closing.seed}/{closing.slot}/{name}/share".encode(), digest_size=8).hexdigest()
        for name in quotas
    }
    order = sorted(quotas, key=lambda name: (floor(quotas[name]) - quotas[name], lots[name], name))
    for name in order[: whole_wh - sum(found.values())]:
        found[name] += 1
    return found


def _bill(closing: Closing, net_wh: int, share_wh: int) -> tuple[int, int]:
    """What the utility earns by a household's slot (a cost is negative), and the part of that for shared energy."""
    price = closing.price_micro or 0
    alone, shared = closing.feed_in_micro, price
    if net_wh > 0:
        alone, shared = closing.tariff_micro, price + closing.local_fee_micro
    sign = 1 if net_wh > 0 else -1
    total = Fraction(alone * (abs(net_wh) - share_wh) + shared * share_wh, 1000)
    return sign * _rounded(total), sign * _rounded(Fraction(shared * share_wh, 1000))


def _correction(closing: Closing, billed_wh: int, billed_micro: int, net_wh: int) -> int:
    """What a household gets back for the difference between two readings; a fraction is its gain."""
    back_micro = 0
    for before_wh, after_wh, price, sign in (
        (max(0, billed_wh), max(0, net_wh), closing.tariff_micro, 1),
        (max(0, -billed_wh), max(0, -net_wh), closing.feed_in_micro, -1),
    ):
        less_wh = before_wh - after_wh
        if less_wh > 0:
            worth = sign * Fraction(abs(billed_micro) * less_wh, before_wh)
        else:
            worth = sign * Fraction(price * less_wh, 1000)
        back_micro += ceil(worth)
    return back_micro


def _rounded(value: Fraction) -> int:
    """Rounded half up."""
    return floor(value + Fraction(1, 2))


def _of(kind: str, row: Reported, text: str) -> Finding:
    return Finding(kind, row.household, row.slot, None, text)
