// The list of trades as they happen, newest first; those that came to nothing are folded away. And what is said of them
// to who does not see it.

import { el, keep, say, set } from "./dom.js";
import { progress } from "./model.js";
import { energy, price, short, timeOfDay } from "./text.js";

const SHOWN = 40;
const SPEAK_EVERY_MS = 12_000;

/** Shows a feeder's trades in `list`, and those without a purchase in `failures`; gives how many there are of each. */
export function showTrades(list, failures, street, feeder) {
  const trades = street.tradesOn(feeder);
  const failed = (trade) => progress(trade, street.contractsOf(trade.transaction_id))[1] === "ended";
  const [came, ended] = [trades.filter((trade) => !failed(trade)), trades.filter(failed)];
  for (const [root, some] of [[list, came], [failures, ended]]) {
    keep(root, some.slice(0, SHOWN), (trade) => trade.transaction_id, create, (item, trade) => update(item, trade, street));
  }
  return { came: came.length, ended: ended.length, shown: Math.min(SHOWN, came.length) };
}

function create(trade) {
  const link = el("a", { href: `#/trade/${encodeURIComponent(trade.transaction_id)}` },
    el("span", { class: "who" }, el("span"), el("span", { class: "verb" }), el("span")), el("span", { class: "state" }), el("span", { class: "what quiet" }));
  return el("li", {}, link);
}

function update(item, trade, street) {
  const contracts = street.contractsOf(trade.transaction_id);
  const [word, kind] = progress(trade, contracts);
  const known = contracts.length ? contracts.map((contract) => contract.seller) : trade.sellers;
  const sellers = [...new Set(known.map(short))];
  const [who, state, what] = item.firstChild.children;
  const [from, verb, to] = who.children;
  say(from, short(trade.buyer || "?"));
  say(verb, sellers.length ? " buys from " : kind === "open" ? " looks for energy" : kind === "ended" ? " looked for energy" : "");
  say(to, sellers.join(", "));
  say(state, word);
  set(state, { "data-kind": kind });
  say(what, contracts.length ? terms(contracts, street) : trade.story);
}

function terms(contracts, street) {
  const wh = contracts.reduce((sum, contract) => sum + contract.energy_wh, 0);
  const micro = contracts.reduce((sum, contract) => sum + contract.amount_micro, 0);
  const from = timeOfDay(contracts[0].slot, street.offsetS);
  const why = contracts.find((contract) => contract.reason)?.reason;
  return `${energy(wh)} at ${price((micro / wh) * 1000)} for ${from}${why ? `: ${why}` : ""}`;
}

/** Says in one sentence what was confirmed since it last spoke, and not more often than anybody could listen to. */
export class Speaker {
  constructor(place) {
    this.place = place;
    this.known = null;
    this.spokeAt = 0;
  }

  hear(street, feeder) {
    const here = (id) => !feeder || street.parties.get(id)?.feeder === feeder;
    const sure = [...street.contracts.values()].filter((c) => ["CONFIRMED", "DELIVERED", "SETTLED"].includes(c.state) && here(c.buyer));
    const keys = new Set(sure.map((c) => `${c.transaction_id} ${c.seller}`));
    this.known ??= keys; // what was there when the page was opened is no news
    const now = Date.now();
    if (now - this.spokeAt < SPEAK_EVERY_MS) return;
    const fresh = sure.filter((c) => !this.known.has(`${c.transaction_id} ${c.seller}`));
    this.known = keys;
    if (!fresh.length) return;
    this.spokeAt = now;
    const [one] = fresh.slice(-1);
    const last = `${short(one.buyer)} buys ${energy(one.energy_wh)} from ${short(one.seller)}`;
    say(this.place, fresh.length === 1 ? last : `${fresh.length} trades confirmed; the last: ${last}`);
  }
}
