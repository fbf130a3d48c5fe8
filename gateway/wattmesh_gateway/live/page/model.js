// The street as the page knows it: a snapshot, and the changes since. Nothing here is a guess: what nobody has said is
// null or "not known".

const MOST_TRADES = 3_000;
const DELIVERED = ["CONFIRMED", "DELIVERED", "SETTLED"];
const PROMISED = ["QUOTED", "AGREED", "CONFIRMED"];
const NAMES = new Intl.Collator("en", { numeric: true });
/** So long after an event (wall time) grid time is taken to go on; the gateway tells it every 5 s. */
const KNOWN_MS = 6_000;

export class Street {
  constructor() {
    this.parties = new Map();
    this.contracts = new Map();
    this.trades = new Map();
    this.days = new Map();
    this.byTrade = new Map();
    this.gateway = "";
    this.slotS = 900;
    this.grid = null;
    this.missed = 0;
  }

  /** Begin anew from a snapshot. */
  start(snapshot) {
    for (const table of [this.parties, this.contracts, this.trades, this.days]) table.clear();
    this.gateway = snapshot.gateway;
    this.slotS = snapshot.slot_s;
    this.grid = null;
    this.change({ ...snapshot, gone: [] });
  }

  /** Grid time, as an event tells it. */
  time({ grid, missed }) {
    this.grid = grid && { ...grid, at: performance.now() };
    this.missed = missed;
  }

  change({ grid, missed, parties, contracts, trades, feeders, gone }) {
    this.time({ grid, missed });
    for (const id of gone) this.parties.delete(id);
    for (const party of parties) this.parties.set(party.subscriber_id, party);
    for (const contract of contracts) this.contracts.set([contract.transaction_id, contract.buyer, contract.seller].join(" "), contract);
    for (const trade of trades) this.trades.set(trade.transaction_id, trade);
    for (const [name, day] of Object.entries(feeders)) this.days.set(name, day);
    if (this.trades.size > MOST_TRADES) {
      const newest = [...this.trades.values()].sort(byStart).slice(0, MOST_TRADES);
      this.trades = new Map(newest.map((trade) => [trade.transaction_id, trade]));
    }
    const oldest = this.now() - 6 * this.slotS;
    for (const [key, contract] of this.contracts) {
      if (contract.slot < oldest && !this.trades.has(contract.transaction_id)) this.contracts.delete(key);
    }
    this.index();
  }

  index() {
    this.byTrade = new Map();
    for (const contract of this.contracts.values()) {
      const known = this.byTrade.get(contract.transaction_id);
      if (known) known.push(contract);
      else this.byTrade.set(contract.transaction_id, [contract]);
    }
  }

  /** Nobody tells the time any more: it stands. */
  stop() {
    if (this.grid) this.grid = { ...this.grid, now_s: this.now(), running: false };
  }

  get running() {
    return Boolean(this.grid?.running) && performance.now() - this.grid.at <= KNOWN_MS;
  }

  /** Grid time now, or when it was heard last, unix seconds. */
  now() {
    if (!this.grid) return 0;
    const elapsed = this.grid.running ? Math.min(KNOWN_MS, performance.now() - this.grid.at) : 0;
    return this.grid.now_s + (elapsed / 1000) * this.grid.speed;
  }

  slot() {
    return Math.floor(this.now() / this.slotS) * this.slotS;
  }

  get offsetS() {
    return this.grid?.utc_offset_s ?? 0;
  }

  feeders() {
    return [...new Set([...this.parties.values()].map((party) => party.feeder))].sort(NAMES.compare);
  }

  /** Who is on a feeder, or on any (""): utilities first, then households, each by name with numbers in order. */
  on(feeder) {
    const order = (party) => (party.kind === "utility" ? 0 : 1);
    const here = [...this.parties.values()].filter((party) => !feeder || party.feeder === feeder);
    return here.sort((a, b) => order(a) - order(b) || NAMES.compare(a.name, b.name));
  }

  /** What a party has said of a slot: `{role, price}`; null where it has not. */
  said(party, slot) {
    if (!party.currency || !party.reached) return null;
    if (party.slot === slot) return { role: party.role, price: party.price_micro_per_kwh };
    if (party.slot + this.slotS === slot) return { role: party.next_role, price: party.next_price_micro_per_kwh };
    return null;
  }

  /** What a party does: in the slot that is traded now if it has decided, else in the running one. */
  roleOf(party) {
    if (!party.reached) return "unreached";
    if (party.draining) return "leaving";
    const next = this.said(party, this.slot() + this.slotS);
    const now = this.said(party, this.slot());
    if (!next && !now) return "unknown";
    const role = next?.role && next.role !== "neither" ? next.role : now?.role;
    return role === "buyer" || role === "seller" ? role : "neither";
  }

  /** What a seller asks per kWh in the slot that is traded now; null where that is not known, or it sells nothing. */
  askOf(party) {
    if (this.roleOf(party) !== "seller") return null;
    return (this.said(party, this.slot() + this.slotS) ?? this.said(party, this.slot())).price;
  }

  /** Trades on a feeder, newest first: also those of which only the contract is known. */
  tradesOn(feeder) {
    const here = (id) => !feeder || this.parties.get(id)?.feeder === feeder;
    const found = [...this.trades.values()];
    for (const [id, contracts] of this.byTrade) {
      if (!this.trades.has(id)) found.push(fromContracts(id, contracts));
    }
    return found.filter((trade) => here(trade.buyer) || this.contractsOf(trade.transaction_id).some((c) => here(c.buyer) || here(c.seller))).sort(byStart);
  }

  contractsOf(transactionId) {
    return this.byTrade.get(transactionId) ?? [];
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

  /** The sums of a feeder's day, or of all feeders' (""); null without a metered slot. */
  today(feeder) {
    const days = feeder ? [this.days.get(feeder)] : [...this.days.values()];
    const known = days.filter(Boolean);
    if (!known.length) return null;
    const newest = Math.max(...known.map((day) => day.until));
    const sum = (name) => known.reduce((total, day) => total + day[name], 0);
    return {
      until: newest,
      ...Object.fromEntries(["pv_wh", "load_wh", "used_pv_wh", "taken_wh", "local_wh", "saved_micro", "unbooked", "untold"].map((name) => [name, sum(name)])),
    };
  }

  get currency() {
    return [...this.parties.values()].find((party) => party.currency)?.currency ?? "";
  }
}

/** The street as it was in a slot, as the books have it. */
export class Past extends Street {
  constructor(street, slot, { readings, contracts }) {
    super();
    Object.assign(this, { gateway: street.gateway, slotS: street.slotS, grid: { ...street.grid, now_s: slot, running: false } });
    for (const [id, party] of street.parties) {
      const reading = readings[id];
      const known = Boolean(reading) || party.kind === "utility";
      const traded = (side) => contracts.filter((c) => c[side] === id && DELIVERED.includes(c.state)).reduce((sum, c) => sum + c.energy_wh, 0);
      this.parties.set(id, { ...party, reached: known, draining: false, level_wh: reading?.[1] ?? 0, capacity_wh: reading ? party.capacity_wh : 0, last_reading: reading ?? null,
        bought_wh: reading ? reading[4] : traded("buyer"), sold_wh: reading ? reading[5] : traded("seller"), balance_micro: null, open_contracts: null });
    }
    for (const contract of contracts) this.contracts.set([contract.transaction_id, contract.buyer, contract.seller].join(" "), contract);
    this.index();
  }

  /** What it did in the slot. */
  roleOf(party) {
    if (!party.reached) return "unread";
    const mine = [...this.contracts.values()].filter((c) => DELIVERED.includes(c.state));
    if (mine.some((c) => c.seller === party.subscriber_id)) return "seller";
    return mine.some((c) => c.buyer === party.subscriber_id) ? "buyer" : "neither";
  }

  /** What it was paid per kWh, on average. */
  askOf(party) {
    const sold = [...this.contracts.values()].filter((c) => c.seller === party.subscriber_id && DELIVERED.includes(c.state));
    const wh = sold.reduce((sum, c) => sum + c.energy_wh, 0);
    return wh ? (sold.reduce((sum, c) => sum + c.amount_micro, 0) / wh) * 1000 : null;
  }

  flows() {
    return { now: [...this.contracts.values()].filter((c) => DELIVERED.includes(c.state)), next: [] };
  }
}

const byStart = (a, b) => b.started_ms - a.started_ms;

const fromContracts = (id, contracts) => ({
  transaction_id: id, buyer: contracts[0].buyer, sellers: [], started_ms: Math.min(...contracts.map((c) => c.created_ms)),
  last_action: "", story: "", open: false,
});

export const ROLE_TEXT = {
  seller: "▲ sells",
  buyer: "▼ buys",
  neither: "neither",
  leaving: "leaving",
  unknown: "not known",
  unreached: "✕ no answer",
  unread: "no reading",
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
const BY_LAST_MESSAGE = { on_confirm: "CONFIRMED", update: "DELIVERED", on_update: "SETTLED" };

export const stateOf = (contract) => (contract.in_doubt ? ["in doubt", "doubt"] : STEPS[contract.state]);

/** How far a trade is: a word, and its kind (open, sure, doubt, done, ended, unknown). */
export function progress(trade, contracts) {
  const live = contracts.filter((contract) => !["EXPIRED", "CANCELLED"].includes(contract.state));
  if (live.length) {
    // As far as the part that is furthest behind.
    const order = Object.keys(STEPS);
    return stateOf(live.reduce((a, b) => (order.indexOf(b.state) < order.indexOf(a.state) ? b : a)));
  }
  if (trade.open) return ["looking for offers", "open"];
  if (contracts.length) return STEPS[contracts[0].state];
  // Its contracts are not on a page any more; its messages are.
  if (trade.sellers.length) return STEPS[BY_LAST_MESSAGE[trade.last_action]] ?? ["confirm was sent", "unknown"];
  return trade.open === false ? ["nothing bought", "ended"] : ["not known", "unknown"];
}
