// The street as the page knows it: a snapshot, and the changes since.

const MOST_TRADES = 200;
const DELIVERED = ["CONFIRMED", "DELIVERED", "SETTLED"];
const PROMISED = ["QUOTED", "AGREED", "CONFIRMED"];

export class Street {
  constructor() {
    this.parties = new Map();
    this.contracts = new Map();
    this.trades = new Map();
    this.gateway = "";
    this.slotS = 900;
    this.grid = null;
  }

  /** Begin anew from a snapshot. */
  start(snapshot) {
    this.parties.clear();
    this.contracts.clear();
    this.trades.clear();
    this.gateway = snapshot.gateway;
    this.slotS = snapshot.slot_s;
    this.change({ ...snapshot, gone: [] });
  }

  change({ grid, parties, contracts, trades, gone }) {
    if (grid) this.grid = { ...grid, at: performance.now() };
    for (const id of gone) this.parties.delete(id);
    for (const party of parties) this.parties.set(party.subscriber_id, party);
    for (const contract of contracts) {
      this.contracts.set([contract.transaction_id, contract.buyer, contract.seller].join(" "), contract);
    }
    for (const trade of trades) this.trades.set(trade.transaction_id, trade);
    const surplus = this.newestTrades().slice(MOST_TRADES);
    for (const trade of surplus) this.trades.delete(trade.transaction_id);
    const oldest = this.now() - 6 * this.slotS;
    for (const [key, contract] of this.contracts) {
      if (contract.slot < oldest && !this.trades.has(contract.transaction_id)) this.contracts.delete(key);
    }
  }

  /** Grid time now, unix seconds. */
  now() {
    if (!this.grid) return 0;
    return this.grid.now_s + ((performance.now() - this.grid.at) / 1000) * this.grid.speed;
  }

  /** How long nothing happens in a trade that still gets offers, in milliseconds of wall time. */
  silenceMs() {
    return Math.min(10_000, (250 * this.slotS) / (this.grid?.speed ?? 1));
  }

  slot() {
    return Math.floor(this.now() / this.slotS) * this.slotS;
  }

  feeders() {
    return [...new Set([...this.parties.values()].map((party) => party.feeder))].sort();
  }

  /** Utilities first, then households, each by name with numbers in order. */
  on(feeder) {
    const order = (party) => (party.kind === "utility" ? 0 : 1);
    const here = [...this.parties.values()].filter((party) => party.feeder === feeder);
    const names = new Intl.Collator("en", { numeric: true });
    return here.sort((a, b) => order(a) - order(b) || names.compare(a.name, b.name));
  }

  newestTrades() {
    return [...this.trades.values()].sort((a, b) => b.started_ms - a.started_ms);
  }

  contractsOf(transactionId) {
    return [...this.contracts.values()].filter((contract) => contract.transaction_id === transactionId);
  }

  contractsWith(subscriberId) {
    const mine = [...this.contracts.values()].filter((c) => c.buyer === subscriberId || c.seller === subscriberId);
    return mine.sort((a, b) => b.slot - a.slot || b.created_ms - a.created_ms);
  }

  /** Contracts that are delivered in the running slot, and those for the next. */
  flows() {
    const slot = this.slot();
    const all = [...this.contracts.values()];
    return {
      now: all.filter((c) => c.slot === slot && DELIVERED.includes(c.state)),
      next: all.filter((c) => c.slot === slot + this.slotS && PROMISED.includes(c.state)),
    };
  }
}

/** What a household does: in the slot that is traded now if it has decided, else in the running one. */
export function roleOf(party) {
  if (!party.reached) return "unreached";
  if (party.draining) return "leaving";
  const role = party.next_role && party.next_role !== "neither" ? party.next_role : party.role;
  return role === "buyer" || role === "seller" ? role : "neither";
}

export const ROLE_TEXT = {
  seller: "▲ sells",
  buyer: "▼ buys",
  neither: "neither",
  leaving: "leaving",
  unreached: "✕ no answer",
};

const STEPS = {
  QUOTED: ["quoted", "open"],
  AGREED: ["agreed", "open"],
  CONFIRMED: ["confirmed", "sure"],
  DELIVERED: ["delivered", "sure"],
  SETTLED: ["paid", "done"],
  EXPIRED: ["expired", "ended"],
  CANCELLED: ["cancelled", "ended"],
};
const BY_LAST_MESSAGE = { on_confirm: "CONFIRMED", update: "DELIVERED", on_update: "SETTLED", on_status: "DELIVERED" };

export const stateOf = (contract) => (contract.in_doubt ? ["in doubt", "ended"] : STEPS[contract.state]);

/** How far a trade is: a word, and its kind (open, sure, done, ended). It is over when it is silent for `longMs`. */
export function progress(trade, contracts, longMs) {
  const live = contracts.filter((contract) => !["EXPIRED", "CANCELLED"].includes(contract.state));
  if (live.length) {
    // As far as the part that is furthest behind.
    const order = Object.keys(STEPS);
    return stateOf(live.reduce((a, b) => (order.indexOf(b.state) < order.indexOf(a.state) ? b : a)));
  }
  if (contracts.length) return STEPS[contracts[0].state];
  const known = BY_LAST_MESSAGE[trade.last_action];
  if (known) return STEPS[known];
  return Date.now() - trade.last_ms > longMs ? ["nothing bought", "ended"] : ["looking for offers", "open"];
}
