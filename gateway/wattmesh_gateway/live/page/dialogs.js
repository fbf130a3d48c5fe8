// Which dialog is open stands in the address (`#/household/…`, `#/trade/…`), so links, the back key and Esc all work.

import { el, say } from "./dom.js";
import { householdView } from "./household.js";
import { ask } from "./right.js";
import { short } from "./text.js";
import { tradeView } from "./trade.js";

const KINDS = {
  household: { path: "api/households/", title: (value) => value.name, view: householdView },
  trade: { path: "api/trades/", title: (value) => `${short(value.buyer || value.contracts[0]?.buyer || "?")} buys energy`, view: tradeView },
};

export class Dialogs {
  /** `shown()` gives the street that the page shows: this one, or its past. */
  constructor(street, shown) {
    this.street = street;
    this.shown = shown;
    this.open = null;
    this.opener = null;
    for (const kind of Object.keys(KINDS)) {
      const dialog = document.getElementById(kind);
      dialog.addEventListener("close", () => {
        if (this.open?.kind !== kind) return;
        this.open = null;
        history.pushState(null, "", location.pathname + location.search);
        this.opener?.focus();
      });
      dialog.addEventListener("click", (event) => {
        if (event.target === dialog) dialog.close();
      });
    }
    addEventListener("hashchange", () => this.follow());
  }

  /** Show what the address names. */
  follow() {
    const [, kind, id] = location.hash.match(/^#\/(household|trade)\/(.+)$/) ?? [];
    const before = this.open;
    this.open = kind ? { kind, id: decodeURIComponent(id), shown: "" } : null;
    if (before && before.kind !== kind) document.getElementById(before.kind).close();
    if (!kind) return;
    const dialog = document.getElementById(kind);
    if (!before) this.opener = document.activeElement;
    say(document.getElementById(`${kind}-title`), "…");
    document.getElementById(`${kind}-body`).replaceChildren();
    if (!dialog.open) dialog.showModal();
    this.refresh();
  }

  /** What the open dialog shows has changed, perhaps. */
  concerns({ parties = [], trades = [], contracts = [] }) {
    const id = this.open?.id;
    return Boolean(id) && (parties.some((one) => one.subscriber_id === id) || [...trades, ...contracts].some((one) => one.transaction_id === id));
  }

  async refresh() {
    const { open } = this;
    if (!open) return;
    const { path, title, view } = KINDS[open.kind];
    const body = document.getElementById(`${open.kind}-body`);
    const heading = document.getElementById(`${open.kind}-title`);
    try {
      const answer = await ask(path + encodeURIComponent(open.id));
      const text = await answer.text();
      if (this.open !== open || text === open.shown) return;
      const value = JSON.parse(text);
      if (!answer.ok) {
        const contracts = open.kind === "trade" ? this.shown().contractsOf(open.id) : [];
        if (contracts.length) { // of the past that is shown
          open.shown = text;
          const trade = { buyer: contracts[0].buyer, contracts, log: [] };
          say(heading, title(trade));
          replaced(body, view(trade, this.street));
          return;
        }
        say(heading, "Not here");
        body.replaceChildren(el("p", {}, value.detail));
        return;
      }
      open.shown = text;
      say(heading, title(value));
      replaced(body, view(value, this.street));
    } catch {
      if (this.open === open && !open.shown) body.replaceChildren(el("p", {}, "The gateway does not answer now."));
    }
  }
}

/** New content at the places where the old was scrolled to, opened and focused. */
function replaced(body, parts) {
  const spots = () => [...body.querySelectorAll(".scroller, summary, a, details")];
  const before = spots();
  const focused = before.indexOf(document.activeElement);
  const state = before.map((spot) => [spot.scrollLeft, spot.scrollTop, spot.open]);
  body.replaceChildren(...parts);
  const after = spots();
  after.forEach((spot, i) => {
    if (!state[i] || before[i].tagName !== spot.tagName) return;
    [spot.scrollLeft, spot.scrollTop] = state[i];
    if (spot.tagName === "DETAILS") spot.open = state[i][2];
  });
  if (focused >= 0) after[focused]?.focus({ preventScroll: true });
}
