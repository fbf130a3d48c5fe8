// The live page: events in, everything on the page brought up to date.

import { Dialogs } from "./dialogs.js";
import { el, keep, say, set } from "./dom.js";
import { follow } from "./feed.js";
import { Graph } from "./graph.js";
import { Street } from "./model.js";
import { showPrices } from "./prices.js";
import { showTable } from "./table.js";
import { dayAndTime } from "./text.js";
import { Speaker, showTrades } from "./trades.js";

const TICK_MS = 500;
const at = (id) => document.getElementById(id);
const street = new Street();
const graph = new Graph(at("graph"));
const dialogs = new Dialogs(street);
const speaker = new Speaker(at("spoken"));
let chosen = null;
let drawnSlot = 0;
let due = false;

function feeder() {
  const feeders = street.feeders();
  if (!feeders.includes(chosen)) chosen = feeders[0] ?? "";
  at("feeder-choice").hidden = feeders.length < 2;
  keep(at("feeder"), feeders, (name) => name, (name) => el("option", { value: name }, name), () => {});
  at("feeder").value = chosen;
  return chosen;
}

function draw() {
  due = false;
  const here = feeder();
  drawnSlot = street.slot();
  say(at("gateway"), `${street.gateway} · ${street.on(here).length} on feeder ${here}`);
  graph.draw(street, here);
  showPrices(at("prices"), street, here);
  const count = showTrades(at("trades"), street);
  at("no-trades").hidden = count > 0;
  say(at("trade-count"), count ? `the newest ${count}` : "");
  showTable(at("households"), street, here);
}

/** However much comes at once, the page is drawn once a frame. */
function soon() {
  if (!due) requestAnimationFrame(draw);
  due = true;
}

function tick() {
  if (!street.grid) return;
  say(at("grid-time"), dayAndTime(street.now(), street.grid.utc_offset_s));
  say(at("speed"), street.grid.speed === 1 ? "" : `× ${street.grid.speed}`);
  if (street.slot() !== drawnSlot) soon();
}

function heard(name, value) {
  if (name === "street") street.start(value);
  else street.change(value);
  soon();
  speaker.hear(street);
  if (name === "street" || dialogs.concerns(value)) dialogs.refresh();
}

const STATES = {
  live: "live",
  reconnecting: "reconnecting …",
  gone: "gateway gone",
};

function connection(state) {
  set(at("connection"), { "data-state": state });
  say(at("connection-text"), STATES[state]);
  at("notice").hidden = state !== "gone";
  if (state === "gone") say(at("notice"), "The gateway does not answer. What stands here is what it said last; the page goes on by itself as soon as it is back.");
}

at("feeder").addEventListener("change", (event) => {
  chosen = event.target.value;
  soon();
});
addEventListener("resize", soon);
setInterval(tick, TICK_MS);
follow(heard, connection);
dialogs.follow();
