// The same as the graph, as a table.

import { el, keep, say, set } from "./dom.js";
import { ROLE_TEXT, roleOf } from "./model.js";
import { kwh, money, percent, price } from "./text.js";

export function showTable(body, street, feeder) {
  keep(body, street.on(feeder), (party) => party.subscriber_id, create, update);
}

function create(party) {
  const link = el("a", { href: `#household/${encodeURIComponent(party.subscriber_id)}` });
  const meter = el("span", { class: "battery" }, el("meter", { min: 0, max: 100, low: 20, high: 50, optimum: 100 }), el("span"));
  const cells = Array.from({ length: 5 }, () => el("td", { class: "number" }));
  return el("tr", {}, el("th", { scope: "row" }, link), el("td", {}, meter), el("td"), ...cells);
}

function update(row, party) {
  const [name, battery, role, cost, bought, sold, balance, open] = row.children;
  const doing = roleOf(party);
  set(row, { "data-role": doing });
  say(name.firstChild, party.name);
  const [meter, text] = battery.firstChild.children;
  meter.hidden = !party.capacity_wh;
  const full = party.capacity_wh ? percent(party.level_wh, party.capacity_wh) : 0;
  set(meter, { value: full, "aria-label": `battery of ${party.name}` });
  say(text, party.capacity_wh ? `${full} % · ${kwh(party.level_wh, 1)} kWh` : party.kind === "utility" ? "utility" : "none");
  say(role, ROLE_TEXT[doing]);
  say(cost, doing === "seller" ? price(party.next_price_micro_per_kwh) : "–");
  say(bought, party.currency ? kwh(party.bought_wh) : "–");
  say(sold, party.currency ? kwh(party.sold_wh) : "–");
  say(balance, party.currency ? money(party.balance_micro, party.currency) : "–");
  say(open, party.currency ? String(party.open_contracts) : "–");
}
