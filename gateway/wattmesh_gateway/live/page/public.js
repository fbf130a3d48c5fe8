// What anybody may see: how many households there are, what utilities ask, and sums over all of them; and a way in.

import { chart } from "./chart.js";
import { el, keep, say, set } from "./dom.js";
import { showCards, slotSpan } from "./prices.js";
import { enter } from "./right.js";
import { dayAndTime, kwh, money, percent, price, timeOfDay } from "./text.js";

const LOOK_MS = 5_000;
const DAY_S = 86_400;
const at = (id) => document.getElementById(id);

export function showPublic() {
  at("public").hidden = false;
  set(at("connection"), { hidden: true });
  set(document.querySelector(".skip"), { href: "#enter-title" });
  say(document.querySelector(".skip"), "Skip to the log-in");
  at("enter").addEventListener("submit", logIn);
  look();
  setInterval(look, LOOK_MS);
}

async function logIn(event) {
  event.preventDefault();
  const token = at("token").value.trim();
  let problem = "This token opens nothing here.";
  try {
    if (/^[\w-]+$/.test(token) && await enter(token)) return;
  } catch {
    problem = "The gateway does not answer now.";
  }
  say(at("refused"), problem);
}

async function look() {
  try {
    const answer = await fetch("api/public", { cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    draw(await answer.json());
    at("notice").hidden = true;
  } catch {
    say(at("notice"), "The gateway does not answer. The page goes on by itself as soon as it is back.");
    at("notice").hidden = false;
  }
}

function draw({ gateway, grid, slot_s: slotS, households, utilities, least, columns, rows }) {
  const offsetS = grid?.utc_offset_s ?? 0;
  const times = { slotS, offsetS };
  const told = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
  const count = `${households} ${households === 1 ? "household" : "households"}`;
  say(at("gateway"), `${gateway} · ${count}`);
  if (grid) {
    say(at("grid-time"), dayAndTime(grid.now_s, offsetS));
    say(at("clock-name"), grid.running ? "Grid time" : "Grid time, last heard");
    say(at("speed"), grid.speed === 1 ? "" : `× ${grid.speed}`);
  }
  const slot = grid ? Math.floor(grid.now_s / slotS) * slotS : 0;
  showCards(at("public-cards"), [
    ["Households", `${households}`, "nobody’s own numbers are shown here"],
    ...utilities.map((utility) => priceOf(utility, slot, slotS)),
    ...ofToday(told, times, utilities[0]?.currency ?? ""),
  ]);
  const enough = households >= least;
  say(at("public-none"), enough ? "No slot is booked by all of them yet." : `Sums are shown of ${least} households or more.`);
  at("public-none").hidden = told.length > 1;
  at("public-history").hidden = told.length < 2;
  if (told.length < 2) return;
  at("public-plot").replaceChildren(chart("All households together", told.map((row) => row.slot), [
    { name: "PV", kind: "pv", values: told.map((row) => row.pv_wh) },
    { name: "load", kind: "load", values: told.map((row) => row.load_wh) },
    { name: "from neighbours", kind: "bought", values: told.map((row) => row.local_wh) },
  ], offsetS, { width: Math.max(320, at("public-plot").clientWidth), days: true }));
  keep(at("public-rows"), told.slice(-12).reverse(), (row) => `${row.slot}`,
    (row) => el("tr", {}, el("th", { scope: "row" }, slotSpan(times, row.slot)),
      ...[`${row.households}`, kwh(row.pv_wh), kwh(row.load_wh), kwh(row.local_wh), kwh(row.net_wh).replace("-", "−")].map((text) => el("td", { class: "number" }, text))),
    () => {});
}

function priceOf(utility, slot, slotS) {
  const next = utility.slot + slotS === slot ? null : utility.next_price_micro_per_kwh;
  const now = utility.slot === slot ? utility.price_micro_per_kwh : utility.slot + slotS === slot ? utility.next_price_micro_per_kwh : null;
  const fee = utility.grid_fee_micro_per_kwh ? ` + ${price(utility.grid_fee_micro_per_kwh)} grid fee` : "";
  const later = next === null || utility.slot !== slot ? "not known" : price(next);
  return [`${utility.name}, now`, now === null ? "–" : price(now), `${utility.currency}/kWh${fee}, next slot ${later}, feed-in ${price(utility.feed_in_micro_per_kwh)}`];
}

/** Of the slots of the newest local day that were told. */
function ofToday(rows, { slotS, offsetS }, currency) {
  const last = rows.at(-1);
  if (!last) return [];
  const begin = last.slot - ((last.slot + offsetS) % DAY_S);
  const day = rows.filter((row) => row.slot >= begin);
  const sum = (name) => day.reduce((total, row) => total + row[name], 0);
  const until = `today until ${timeOfDay(last.slot + slotS, offsetS)}`;
  const taken = sum("taken_wh");
  return [
    ["Saved", money(sum("saved_micro"), currency), `against the utility’s prices, ${until}`],
    ["PV", `${kwh(sum("pv_wh"), 1)} kWh`, `${kwh(sum("load_wh"), 1)} kWh load, ${until}`],
    ["Local share", taken ? `${percent(sum("local_wh"), taken)} %` : "–", taken ? `of ${kwh(taken, 1)} kWh taken, ${until}` : "nothing was taken"],
  ];
}
