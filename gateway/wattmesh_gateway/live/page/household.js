// One household: its battery over the last slots, what it used and made, its contracts.

import { chart } from "./chart.js";
import { el } from "./dom.js";
import { ROLE_TEXT, stateOf } from "./model.js";
import { energy, kw, kwh, money, percent, price, short, timeOfDay } from "./text.js";

const MOST_CONTRACTS = 12;
const [SLOT, LEVEL, PV, LOAD, BOUGHT, SOLD, IMPORTED, EXPORTED] = [0, 1, 2, 3, 4, 5, 6, 7];

/** What the dialog shows of a household, as `/api/households/…` tells it. */
export function householdView(party, street) {
  const { offsetS } = street;
  const { readings } = party;
  const slots = readings.map((row) => row[SLOT]);
  const column = (index) => readings.map((row) => row[index]);
  const parts = [facts(party, street)];
  if (readings.length > 1) {
    if (party.capacity_wh) {
      parts.push(el("h3", {}, "Battery, kWh"), chart("Battery", slots, [{ name: "level", kind: "level", values: column(LEVEL) }], offsetS, { most: party.capacity_wh }));
    }
    parts.push(
      el("h3", {}, "Each slot, kWh"),
      chart("Energy in each slot", slots, [
        { name: "PV", kind: "pv", values: column(PV) },
        { name: "load", kind: "load", values: column(LOAD) },
        { name: "bought", kind: "bought", values: column(BOUGHT) },
        { name: "sold", kind: "sold", values: column(SOLD) },
      ], offsetS),
      el("ul", { class: "legend" }, ...["pv PV", "load load", "bought bought", "sold sold"].map((one) => {
        const [kind, name] = one.split(" ");
        return el("li", {}, el("span", { class: `key ${kind}`, "aria-hidden": "true" }), ` ${name}`);
      })),
      slotTable(readings, offsetS),
    );
  } else if (party.kind !== "utility") parts.push(el("p", { class: "quiet" }, "No slot is metered yet."));
  parts.push(...contracts(party, street, offsetS));
  return parts;
}

function facts(party, street) {
  const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  if (!party.currency) return el("p", { class: "quiet" }, "It is registered, but its pod has not answered yet.");
  const role = street.roleOf(party);
  const said = street.said(party, street.slot());
  const list = el("dl", { class: "facts" }, fact("Role", ROLE_TEXT[role]));
  if (party.capacity_wh) list.append(fact("Battery", `${kwh(party.level_wh)} of ${kwh(party.capacity_wh)} kWh (${percent(party.level_wh, party.capacity_wh)} %)`));
  const last = party.last_reading;
  if (last) list.append(fact("PV", `${kw(last[PV])} kW`), fact("Load", `${kw(last[LOAD])} kW`));
  list.append(fact("Its price now", said ? `${price(said.price)} ${party.currency}/kWh${party.grid_fee_micro_per_kwh ? ` + ${price(party.grid_fee_micro_per_kwh)} grid fee` : ""}` : "not known"), fact("Bought", `${kwh(party.bought_wh)} kWh`), fact("Sold", `${kwh(party.sold_wh)} kWh`),
    fact("Balance", money(party.balance_micro, party.currency)), fact("Open contracts", String(party.open_contracts)), fact("Feeder", party.feeder));
  return list;
}

function slotTable(readings, offsetS) {
  const names = ["Slot", "Level", "PV", "Load", "Bought", "Sold", "Imported", "Exported"];
  const order = [LEVEL, PV, LOAD, BOUGHT, SOLD, IMPORTED, EXPORTED];
  const rows = readings.slice(-12).reverse().map((row) => el("tr", {}, el("th", { scope: "row" }, timeOfDay(row[SLOT], offsetS)), ...order.map((i) => el("td", { class: "number" }, kwh(row[i])))));
  return el("details", {}, el("summary", {}, "The last slots as a table (kWh)"),
    el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "The last slots" },
      el("table", {}, el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col", class: name === "Slot" ? null : "number" }, name)))), el("tbody", {}, ...rows))));
}

function contracts(party, street, offsetS) {
  const mine = street.contractsWith(party.subscriber_id).slice(0, MOST_CONTRACTS);
  if (!mine.length) return [el("h3", {}, "Contracts"), el("p", { class: "quiet" }, "None in the last slots.")];
  const items = mine.map((contract) => {
    const buys = contract.buyer === party.subscriber_id;
    const [word, kind] = stateOf(contract);
    return el("li", {}, el("a", { href: `#/trade/${encodeURIComponent(contract.transaction_id)}` },
      el("span", { class: "who" }, `${buys ? "▼ buys from" : "▲ sells to"} ${short(buys ? contract.seller : contract.buyer)}`), el("span", { class: "state", "data-kind": kind }, word),
      el("span", { class: "what quiet" }, `${energy(contract.energy_wh)} for ${money(contract.amount_micro, party.currency)}, ${timeOfDay(contract.slot, offsetS)}`)));
  });
  return [el("h3", {}, "Newest contracts"), el("ol", { class: "trades" }, ...items)];
}
