// The past of a feeder from its books: a chart of its slots, and a slider that chooses one.

import { chart } from "./chart.js";
import { say, set } from "./dom.js";
import { Past } from "./model.js";
import { ask } from "./right.js";
import { dayAndTime } from "./text.js";

const REFRESH_MS = 3_000;
const SETTLE_MS = 150;

export class History {
  /** `changed()` is called when the page is to be drawn anew. */
  constructor(root, street, changed) {
    Object.assign(this, { root, street, changed, feeder: "", rows: [], slot: null, past: null, asked: -REFRESH_MS, timer: null, settling: null });
    this.slider = root.querySelector("input");
    this.slider.addEventListener("input", () => this.choose(this.rows[this.slider.valueAsNumber]?.slot ?? null));
    root.querySelector("button").addEventListener("click", () => this.choose(null));
  }

  /** The row of the slot that is chosen. */
  get row() {
    return this.rows.find((row) => row.slot === this.slot) ?? null;
  }

  /** Another feeder, or none (""). */
  follow(feeder) {
    if (feeder === this.feeder) return;
    Object.assign(this, { feeder, rows: [], asked: -REFRESH_MS });
    this.choose(null);
    this.refresh();
  }

  /** Slots were booked: ask for them, but not for each by itself. */
  refresh() {
    if (!this.feeder || this.timer !== null) return;
    this.timer = setTimeout(() => this.ask(), Math.max(0, this.asked + REFRESH_MS - performance.now()));
  }

  async ask() {
    this.asked = performance.now();
    this.timer = null;
    const { feeder } = this;
    const found = await answer(`api/history?feeder=${encodeURIComponent(feeder)}`);
    if (!found || feeder !== this.feeder) return;
    this.rows = found.rows.map((row) => Object.fromEntries(found.columns.map((name, i) => [name, row[i]])));
    if (this.slot !== null && !this.row) this.choose(null); // it is too long ago by now
    else this.show();
  }

  choose(slot) {
    clearTimeout(this.settling);
    this.slot = slot;
    this.past = null;
    if (slot !== null) this.settling = setTimeout(() => this.load(slot), SETTLE_MS);
    this.show();
    this.changed();
  }

  async load(slot) {
    const found = await answer(`api/history/${slot}?feeder=${encodeURIComponent(this.feeder)}`);
    if (slot !== this.slot) return;
    if (found) this.past = new Past(this.street, slot, found);
    say(this.root.querySelector(".problem"), found ? unreached(found) : "This slot cannot be read now.");
    this.changed();
  }

  show() {
    const { rows, slider, root, street } = this;
    root.hidden = rows.length < 2;
    if (root.hidden) return;
    const at = rows.findIndex((row) => row.slot === this.slot);
    const live = at < 0;
    set(slider, { min: 0, max: rows.length });
    slider.valueAsNumber = live ? rows.length : at;
    const when = live ? "live" : dayAndTime(this.slot, street.offsetS);
    set(slider, { "aria-valuetext": when });
    say(root.querySelector("output"), live ? "live" : when);
    set(root.querySelector("button"), { disabled: live });
    if (live) say(root.querySelector(".problem"), "");
    root.querySelector(".plot").replaceChildren(chart("The street’s history", rows.map((row) => row.slot), [
      { name: "PV", kind: "pv", values: rows.map((row) => row.pv_wh) },
      { name: "load", kind: "load", values: rows.map((row) => row.load_wh) },
      { name: "from neighbours", kind: "bought", values: rows.map((row) => row.local_wh) },
    ], street.offsetS, { width: Math.max(320, root.clientWidth - 34), at: live ? null : at, days: true }));
  }
}

const unreached = ({ unreached: names }) => (names.length ? `Not read, as their pods do not answer: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}.` : "");

async function answer(url) {
  try {
    const reply = await ask(url);
    return reply.ok ? await reply.json() : null;
  } catch {
    return null;
  }
}
