// One trade: its terms, its messages as a sequence diagram, and the same as a list with the story.

import { el } from "./dom.js";
import { sequenceDrawing } from "./sequence.js";
import { stateOf } from "./model.js";
import { energy, money, offset, short, timeOfDay } from "./text.js";

const ANSWER = { ACK: "taken", NACK: "✕ refused", LOST: "? no answer" };

/** What the dialog shows of a trade, as `/api/trades/…` tells it. */
export function tradeView(trade, street) {
  const { currency, offsetS } = street;
  const terms = trade.contracts.map((contract) => {
    const [word, kind] = stateOf(contract);
    return el("li", {}, el("span", { class: "state", "data-kind": kind }, word),
      ` ${energy(contract.energy_wh)} from ${short(contract.seller)} for ${money(contract.amount_micro, currency)}, delivered from ${timeOfDay(contract.slot, offsetS)}`,
      contract.delivered_wh === null ? null : ` (${energy(contract.delivered_wh)} metered)`, contract.reason ? `: ${contract.reason}` : null);
  });
  const agreed = terms.length ? el("ul", { class: "terms" }, ...terms) : el("p", { class: "quiet" }, trade.open ? "No contract yet." : "No contract is known.");
  if (!trade.log.length) return [agreed, el("p", { class: "quiet" }, "Its messages are not remembered: pods keep the newest only. The terms are from the books.")];
  const first = trade.log[0]?.at_ms ?? 0;
  const rows = trade.log.map((entry) => row(entry, first, trade.gateway));
  return [
    agreed,
    el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Sequence diagram" }, sequenceDrawing(trade.log, trade.buyer, trade.gateway)),
    el("h3", {}, "Every message, and what was thought"),
    el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Every message" },
      el("table", { class: "log" }, el("thead", {}, el("tr", {}, ...["Time", "From", "To", "Message", "Answer"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...rows))),
  ];
}

function row(entry, first, gateway) {
  const time = el("td", { class: "number" }, offset(entry.at_ms - first));
  if (entry.kind === "story") return el("tr", { class: "story" }, time, el("td", {}, short(entry.party)), el("td", { colspan: 3 }, entry.text));
  const name = (id) => (id === gateway ? "gateway" : short(id));
  return el("tr", { "data-answer": entry.answer }, time, el("td", {}, name(entry.sender)), el("td", {}, name(entry.recipient)), el("td", {}, el("code", {}, entry.action)),
    el("td", {}, ANSWER[entry.answer], entry.text ? `: ${entry.text}` : null));
}
