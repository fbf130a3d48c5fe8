// The cards at the top: what the market is worth today, what energy costs, and what is on its way.

import { el, keep, say } from "./dom.js";
import { energy, kwh, money, percent, price, short, timeOfDay } from "./text.js";

const NOT_KNOWN = "not known";

export function showPrices(root, street, feeder) {
  showCards(root, [...ofToday(street.today(feeder), street), ...ofSlot(street, feeder)]);
}

/** The same of a slot of the past; `row` is its row of the history by column. */
export function showPast(root, row, street) {
  const span = slotSpan(street, row.slot);
  const net = row.net_wh;
  showCards(root, [
    ["PV", `${kwh(row.pv_wh)} kWh`, span],
    ["Load", `${kwh(row.load_wh)} kWh`, span],
    [net < 0 ? "Net export" : "Net import", `${kwh(Math.abs(net))} kWh`, "of all households together"],
    ["Bought from neighbours", `${kwh(row.local_wh)} kWh`, row.taken_wh ? `${percent(row.local_wh, row.taken_wh)} % of what was taken` : "nothing was taken"],
    ["Saved", money(row.saved_micro, street.currency), unbooked(row) || "against the utility’s prices"],
    ["Stored", `${kwh(row.level_after_wh)} kWh`, "at the end of the slot"],
  ]);
}

function ofToday(day, street) {
  if (!day) return [["Saved today", "–", "no slot is metered yet"], ["Self-sufficiency", "–", ""], ["Local share", "–", ""]];
  const until = `until ${timeOfDay(day.until, street.offsetS)}`;
  return [
    ["Saved today", money(day.saved_micro, street.currency), untold(day) || unbooked(day) || `against the utility’s prices, ${until}`],
    ["Self-sufficiency", day.load_wh ? `${percent(day.used_pv_wh, day.load_wh)} %` : "–", day.load_wh ? `of ${kwh(day.load_wh, 1)} kWh load, today ${until}` : "no load"],
    ["Local share", day.taken_wh ? `${percent(day.local_wh, day.taken_wh)} %` : "–", day.taken_wh ? `of ${kwh(day.taken_wh, 1)} kWh taken, today ${until}` : `nothing was taken, today ${until}`],
  ];
}

const untold = ({ untold: count }) => (count ? `without ${count} ${count === 1 ? "party" : "parties"} whose pod has not told it` : "");
const unbooked = ({ unbooked: count }) => (count ? `${count} ${count === 1 ? "reading is" : "readings are"} not booked yet` : "");

function ofSlot(street, feeder) {
  const parties = street.on(feeder);
  const utilities = parties.filter((party) => party.kind === "utility");
  const sellers = parties.filter((party) => party.kind !== "utility" && street.askOf(party) !== null);
  const cheapest = sellers.reduce((a, b) => (a && street.askOf(a) <= street.askOf(b) ? a : b), null);
  const { now, next } = street.flows();
  const ids = new Set(parties.map((party) => party.subscriber_id));
  const sum = (contracts) => contracts.filter((c) => ids.has(c.buyer)).reduce((total, c) => total + c.energy_wh, 0);
  const slot = street.slot();
  return [
    ["Utility, now", ...utilityNow(street, utilities)],
    ["Cheapest neighbour", cheapest ? price(street.askOf(cheapest)) : "–",
      cheapest ? `${cheapest.currency}/kWh${fee(cheapest)}, ${short(cheapest.name)}` : street.grid ? "nobody offers for the next slot" : ""],
    ["Traded in this slot", energy(sum(now)), street.grid ? slotSpan(street, slot) : ""],
    ["Agreed for the next", energy(sum(next)), street.grid ? slotSpan(street, slot + street.slotS) : ""],
  ];
}

const fee = (party) => (party.grid_fee_micro_per_kwh ? ` + ${price(party.grid_fee_micro_per_kwh)} grid fee` : "");

/** Prices of the running slot and the next, as far as utilities have said them. */
function utilityNow(street, utilities) {
  const known = utilities.filter((party) => street.said(party, street.slot()));
  if (!known.length) return ["–", utilities.length ? NOT_KNOWN : "no utility"];
  const range = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return low === high ? price(low) : `${price(low)}–${price(high)}`;
  };
  const of = (slot) => known.map((party) => street.said(party, slot)).filter(Boolean).map((said) => said.price);
  const next = of(street.slot() + street.slotS);
  const [one] = known;
  const fees = known.every((party) => party.grid_fee_micro_per_kwh === one.grid_fee_micro_per_kwh) ? fee(one) : " + grid fee";
  return [range(of(street.slot())), `${one.currency}/kWh${fees}, next slot ${next.length ? range(next) : NOT_KNOWN}, feed-in ${range(known.map((party) => party.feed_in_micro_per_kwh))}`];
}

export const slotSpan = (street, slot) => `${timeOfDay(slot, street.offsetS)}–${timeOfDay(slot + street.slotS, street.offsetS)}`;

/** Cards of a name, a value and a note each. */
export function showCards(root, cards) {
  keep(root, cards, ([name]) => name,
    ([name]) => el("div", { class: "price" }, el("dt", {}, name), el("dd", {}, el("b"), " ", el("span", { class: "quiet" }))),
    (element, [, value, note]) => {
      say(element.querySelector("b"), value);
      say(element.querySelector("span"), note);
    });
}
