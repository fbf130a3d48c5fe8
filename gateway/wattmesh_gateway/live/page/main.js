// The live page: events in, everything on the page brought up to date.

import { Dialogs } from "./dialogs.js";
import { el, keep, say, set } from "./dom.js";
import { follow } from "./feed.js";
import { Graph } from "./graph.js";
import { History } from "./history.js";
import { ROLE_TEXT, Street } from "./model.js";
import { showPast, showPrices } from "./prices.js";
import { showPublic } from "./public.js";
import { entered, leave } from "./right.js";
import { feederRows, feederTable, householdTable } from "./table.js";
import { dayAndTime } from "./text.js";
import { Speaker, showTrades } from "./trades.js";

const TICK_MS = 500;
const ALL = ""; // of the feeders
const at = (id) => document.getElementById(id);
const street = new Street();
const graph = new Graph(at("graph"));
const history = new History(at("history"), street, soon);
const shown = () => history.past ?? street;
const dialogs = new Dialogs(street, shown);
const speaker = new Speaker(at("spoken"));
const households = householdTable(at("household-table"), shown);
const feeders = feederTable(at("feeder-table"), choose);
let drawnSlot = 0;
let due = false;
let connected = "connecting";
let heardAt = 0;

/** The feeder in the address; where there are several, all of them are shown first. */
function chosen() {
  const names = street.feeders();
  const asked = new URLSearchParams(location.search).get("feeder");
  if (names.includes(asked)) return asked;
  return names.length > 1 ? ALL : (names[0] ?? ALL);
}

function choose(feeder) {
  const query = new URLSearchParams(feeder ? { feeder } : {}).toString();
  window.history.pushState(null, "", location.pathname + (query && `?${query}`));
  soon();
}

function showFeeders(feeder) {
  const names = street.feeders();
  const several = names.length > 1;
  at("feeder-choice").hidden = !several;
  const all = several && feeder === ALL;
  at("feeders-card").hidden = !all;
  at("street-card").hidden = all;
  keep(at("feeder"), several ? [ALL, ...names] : names, (name) => name, (name) => el("option", { value: name }, name || "all feeders"), () => {});
  at("feeder").value = feeder;
  if (all) feeders.show(feederRows(street));
}

function draw() {
  due = false;
  const feeder = chosen();
  const view = shown();
  drawnSlot = street.slot();
  const parties = view.on(feeder);
  say(at("gateway"), `${street.gateway} · ${parties.length} ${feeder ? `on feeder ${feeder}` : `on ${street.feeders().length} feeders`}`);
  showFeeders(feeder);
  history.follow(feeder);
  if (history.past) showPast(at("prices"), history.row, street);
  else showPrices(at("prices"), street, feeder);
  if (!at("street-card").hidden) graph.draw(view, feeder);
  for (const [id, text] of Object.entries(history.past ? PAST : LIVE)) say(at(id), text);
  const { came, ended, shown: listed } = showTrades(at("trades"), at("failures"), view, feeder);
  at("no-trades").hidden = came > 0;
  say(at("trade-count"), came > listed ? `the newest ${listed}` : "");
  at("failed").hidden = ended === 0;
  say(at("failed-count"), `${ended} without a purchase`);
  at("missed").hidden = street.missed === 0;
  say(at("missed"), `${street.missed} ${street.missed === 1 ? "trade" : "trades"} missed since the start: the gate closed before they were done. A lower speed trades more.`);
  showHouseholds(parties, view);
  notice();
}

const LIVE = { "street-title": "Energy on its way", "flow-now": "delivered in this slot", "flow-grid": "with the utility, last slot", "no-trades": "No trade yet. Households look for energy in each slot of 15 minutes of grid time." };
const PAST = { "street-title": "Energy in this slot, from the books", "flow-now": "bought from each other", "flow-grid": "with the utility", "no-trades": "Nothing was traded for this slot." };

function showHouseholds(parties, view) {
  const name = at("filter").value.trim().toLowerCase();
  const role = at("role").value;
  const found = parties.filter((party) => (!name || party.name.toLowerCase().includes(name)) && (!role || view.roleOf(party) === role));
  const rows = households.show(found);
  say(at("row-count"), found.length === parties.length && rows === found.length ? "" : `${rows} of ${found.length}${found.length < parties.length ? ` found among ${parties.length}` : ""}`);
  const more = rows < found.length || households.all;
  at("all-rows").hidden = !more;
  say(at("all-rows"), households.all ? "Show the first 50" : `Show all ${found.length}`);
}

/** However much comes at once, the page is drawn once a frame. */
function soon() {
  if (!due) requestAnimationFrame(draw);
  due = true;
}

function tick() {
  if (!street.grid) return;
  say(at("grid-time"), dayAndTime(street.now(), street.offsetS));
  say(at("clock-name"), street.running ? "Grid time" : "Grid time, last heard");
  say(at("speed"), street.grid.speed === 1 ? "" : `× ${street.grid.speed}`);
  if (street.slot() !== drawnSlot) soon();
}

function heard(name, value) {
  heardAt = Date.now();
  if (name === "clock") {
    street.time(value);
    notice();
    return;
  }
  if (name === "street") street.start(value);
  else street.change(value);
  soon();
  const feeder = chosen();
  speaker.hear(street, feeder);
  if (feeder in value.feeders) history.refresh();
  if (name === "street" || dialogs.concerns(value)) dialogs.refresh();
}

const STATES = {
  live: "live",
  reconnecting: "reconnecting …",
  gone: "gateway gone",
};

function connection(state) {
  connected = state;
  if (state !== "live") street.stop();
  set(at("connection"), { "data-state": state });
  say(at("connection-text"), STATES[state]);
  notice();
  tick();
}

function notice() {
  const time = heardAt ? ` Showing the last data received at ${new Date(heardAt).toLocaleTimeString("en-GB")}.` : "";
  let text = "";
  if (connected === "gone") text = `The gateway does not answer.${time} The page goes on by itself as soon as it is back.`;
  else if (connected === "live" && street.grid && !street.grid.running) text = "No household’s pod answers the gateway. Showing what they said last.";
  say(at("notice"), text);
  at("notice").hidden = !text;
}

at("feeder").addEventListener("change", (event) => choose(event.target.value));
at("role").append(...["seller", "buyer", "neither", "leaving", "unknown", "unreached"].map((role) => el("option", { value: role }, ROLE_TEXT[role])));
for (const id of ["filter", "role"]) at(id).addEventListener("input", soon);
at("all-rows").addEventListener("click", () => {
  households.all = !households.all;
  soon();
});
households.changed = soon;
feeders.changed = soon;
if (entered()) {
  addEventListener("resize", soon);
  addEventListener("popstate", soon);
  for (const id of ["all", "leave"]) at(id).hidden = false;
  at("leave").addEventListener("click", leave);
  setInterval(tick, TICK_MS);
  follow(heard, connection);
  dialogs.follow();
} else {
  showPublic();
}
