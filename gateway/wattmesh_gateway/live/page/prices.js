// The cards at the top: what energy costs, and what is on its way.

import { el, keep, say } from "./dom.js";
import { roleOf } from "./model.js";
import { energy, price, short, timeOfDay } from "./text.js";

export function showPrices(root, street, feeder) {
  const parties = street.on(feeder).filter((party) => party.currency);
  const utility = parties.find((party) => party.kind === "utility" && party.reached);
  const sellers = parties.filter((party) => party.kind !== "utility" && roleOf(party) === "seller");
  const cheapest = sellers.reduce((a, b) => (a && a.next_price_micro_per_kwh <= b.next_price_micro_per_kwh ? a : b), null);
  const { now, next } = street.flows();
  const ids = new Set(parties.map((party) => party.subscriber_id));
  const sum = (contracts) => contracts.filter((c) => ids.has(c.buyer)).reduce((total, c) => total + c.energy_wh, 0);
  const unit = utility ? `${utility.currency}/kWh` : "";
  const fee = (party) => (party.grid_fee_micro_per_kwh ? ` + ${price(party.grid_fee_micro_per_kwh)} grid fee` : "");
  const slot = street.slot();
  const span = (start) => (street.grid ? `${timeOfDay(start, street.grid.utc_offset_s)}–${timeOfDay(start + street.slotS, street.grid.utc_offset_s)}` : "");
  const cards = [
    ["Utility, now", utility ? price(utility.price_micro_per_kwh) : "–", utility ? `${unit}${fee(utility)}, next slot ${price(utility.next_price_micro_per_kwh)}` : ""],
    ["Cheapest neighbour", cheapest ? price(cheapest.next_price_micro_per_kwh) : "–", cheapest ? `${cheapest.currency}/kWh${fee(cheapest)}, ${short(cheapest.name)}` : "nobody sells in the next slot"],
    ["Feed-in", utility ? price(utility.feed_in_micro_per_kwh) : "–", unit],
    ["Traded in this slot", energy(sum(now)), span(slot)],
    ["Agreed for the next", energy(sum(next)), span(slot + street.slotS)],
  ];
  keep(root, cards, ([name]) => name,
    ([name]) => el("div", { class: "price" }, el("dt", {}, name), el("dd", {}, el("b"), " ", el("span", { class: "quiet" }))),
    (element, [, value, note]) => {
      say(element.querySelector("b"), value);
      say(element.querySelector("span"), note);
    });
}
