// Tables of households and of feeders: sorted by any column, filtered, the first rows of many.

import { el, keep, say, set } from "./dom.js";
import { ROLE_TEXT } from "./model.js";
import { kw, kwh, money, percent, price } from "./text.js";

const SHOWN = 50;
const NAMES = new Intl.Collator("en", { numeric: true });

/**
 * A table whose headings sort. `columns` are `{name, value, text, numeric}`: the heading, what rows are sorted by (null
 * stays below), and what is read. `key(row)` names a row, `create(row)` makes its `tr`, `update(tr, row)` goes beyond
 * the text of its cells.
 */
export class Table {
  constructor(root, columns, key, create, update = () => {}) {
    Object.assign(this, { columns, key, create, update, by: null, down: false, all: false });
    this.body = root.querySelector("tbody");
    this.head = el("tr", {}, ...columns.map((column, i) => this.heading(column, i)));
    root.querySelector("thead").replaceChildren(this.head);
  }

  heading({ name, numeric }, i) {
    const button = el("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      this.down = this.by === i ? !this.down : Boolean(numeric);
      this.by = i;
      this.changed?.();
    });
    return el("th", { scope: "col", class: numeric ? "number" : null }, button);
  }

  /** Shows rows, in the order that was chosen, else in their own; gives how many of them are shown. */
  show(rows) {
    const sorted = this.by === null ? rows : [...rows].sort((a, b) => this.compare(a, b));
    const shown = this.all ? sorted : sorted.slice(0, SHOWN);
    [...this.head.children].forEach((th, i) => set(th, { "aria-sort": this.by === i ? (this.down ? "descending" : "ascending") : null }));
    keep(this.body, shown, this.key, this.create, (tr, row) => {
      this.columns.forEach(({ text }, i) => {
        if (text) say(tr.children[i].querySelector("a, button") ?? tr.children[i], text(row));
      });
      this.update(tr, row);
    });
    return shown.length;
  }

  compare(one, other) {
    const [a, b] = [one, other].map(this.columns[this.by].value);
    if (a === null || b === null) return (a === null) - (b === null);
    return (this.down ? -1 : 1) * (typeof a === "string" ? NAMES.compare(a, b) : a - b);
  }
}

const reading = (party, index) => (party.last_reading ? party.last_reading[index] : null);
const or = (value, form) => (value === null || value === undefined ? "–" : form(value));

/** The table of households and utilities; `of()` gives the street that is shown. */
export function householdTable(root, of) {
  const total = (name, form) => ({ value: (party) => (party.currency ? party[name] : null), text: (party) => (party.currency ? or(party[name], (value) => form(value, party)) : "–"), numeric: true });
  const columns = [
    { name: "Name", value: (party) => party.name, text: (party) => party.name },
    { name: "Battery", value: (party) => (party.capacity_wh ? party.level_wh / party.capacity_wh : null) },
    { name: "Role", value: (party) => ROLE_TEXT[of().roleOf(party)], text: (party) => ROLE_TEXT[of().roleOf(party)] },
    { name: "PV kW", value: (party) => reading(party, 2), text: (party) => or(reading(party, 2), kw), numeric: true },
    { name: "Load kW", value: (party) => reading(party, 3), text: (party) => or(reading(party, 3), kw), numeric: true },
    { name: "Price/kWh", value: (party) => of().askOf(party), text: (party) => or(of().askOf(party), price), numeric: true },
    { name: "Bought kWh", ...total("bought_wh", (wh) => kwh(wh)) },
    { name: "Sold kWh", ...total("sold_wh", (wh) => kwh(wh)) },
    { name: "Balance", ...total("balance_micro", (micro, party) => money(micro, party.currency)) },
    { name: "Open", ...total("open_contracts", String) },
  ];
  return new Table(root, columns, (party) => party.subscriber_id, householdRow, (row, party) => showBattery(row, party, of()));
}

function householdRow(party) {
  const link = el("a", { href: `#/household/${encodeURIComponent(party.subscriber_id)}` });
  const meter = el("span", { class: "battery" }, el("meter", { min: 0, max: 100, low: 20, high: 50, optimum: 100 }), el("span"));
  const numbers = Array.from({ length: 7 }, () => el("td", { class: "number" }));
  return el("tr", {}, el("th", { scope: "row" }, link), el("td", {}, meter), el("td"), ...numbers);
}

function showBattery(row, party, street) {
  set(row, { "data-role": street.roleOf(party) });
  const [meter, text] = row.children[1].firstChild.children;
  const known = party.capacity_wh && party.currency;
  meter.hidden = !known;
  const full = known ? percent(party.level_wh, party.capacity_wh) : 0;
  set(meter, { value: full, "aria-label": `battery of ${party.name}` });
  say(text, known ? `${full} % · ${kwh(party.level_wh, 1)} kWh` : party.kind === "utility" ? "utility" : party.currency ? "none" : "–");
}

/** The table of feeders; `choose(name)` is called for the one that is clicked. */
export function feederTable(root, choose) {
  const number = (name, value, text) => ({ name, value, text: (row) => or(value(row), text), numeric: true });
  const share = (part, whole) => ({ day }) => (day?.[whole] ? percent(day[part], day[whole]) : null);
  const columns = [
    { name: "Feeder", value: (row) => row.name, text: (row) => row.name },
    number("Households", (row) => row.households, String),
    number("PV kW", (row) => row.pv_wh, kw),
    number("Load kW", (row) => row.load_wh, kw),
    number("Sell", (row) => row.sellers, String),
    number("Buy", (row) => row.buyers, String),
    number("Traded kWh", (row) => row.traded_wh, (wh) => kwh(wh)),
    number("Saved today", (row) => row.day?.saved_micro ?? null, (micro) => money(micro)),
    number("Self-sufficiency %", share("used_pv_wh", "load_wh"), String),
    number("Local share %", share("local_wh", "taken_wh"), String),
    number("No answer", (row) => row.unreached, String),
  ];
  return new Table(root, columns, (row) => row.name, (row) => {
    const button = el("button", { type: "button", class: "link" });
    button.addEventListener("click", () => choose(row.name));
    return el("tr", {}, el("th", { scope: "row" }, button), ...columns.slice(1).map(() => el("td", { class: "number" })));
  }, (tr, row) => set(tr.lastElementChild, { "data-bad": row.unreached > 0 }));
}

/** A row for each feeder. */
export function feederRows(street) {
  const rows = new Map(street.feeders().map((name) => [name, { name, households: 0, pv_wh: null, load_wh: null, sellers: 0, buyers: 0, traded_wh: 0, unreached: 0, day: street.days.get(name) }]));
  for (const party of street.parties.values()) {
    const row = rows.get(party.feeder);
    row.unreached += !party.reached;
    if (party.kind === "utility") continue;
    const role = street.roleOf(party);
    row.households += 1;
    row.sellers += role === "seller";
    row.buyers += role === "buyer";
    if (!party.last_reading) continue;
    row.pv_wh = (row.pv_wh ?? 0) + party.last_reading[2];
    row.load_wh = (row.load_wh ?? 0) + party.last_reading[3];
  }
  for (const contract of street.flows().now) {
    const row = rows.get(street.parties.get(contract.buyer)?.feeder);
    if (row) row.traded_wh += contract.energy_wh;
  }
  return [...rows.values()];
}
