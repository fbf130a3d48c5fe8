// The street as a graph: houses with the level of their battery, and energy on its way between them.

import { keep, say, set, svg } from "./dom.js";
import { around, curve, sizes } from "./layout.js";
import { ROLE_TEXT } from "./model.js";
import { cut, energy, kw, kwh, percent, price } from "./text.js";

const MOST_FLOWS = 150;
const MOST_LABELLED = 80;
const CLEAR = { house: 36, small: 20, dot: 9 };

export class Graph {
  constructor(root) {
    this.root = root;
    this.flows = svg("g", { class: "flows", "aria-hidden": "true" });
    this.nodes = svg("g", { role: "list", "aria-label": "Households and utilities" });
    const arrow = (id, kind) =>
      svg("marker", { id, viewBox: "0 0 10 10", refX: 7, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" },
        svg("path", { class: `arrow ${kind}`, d: "M0 0 10 5 0 10z" }));
    const body = svg("clipPath", { id: "house-body" }, svg("path", { d: HOUSE }));
    root.append(svg("defs", {}, arrow("arrow-now", "now"), arrow("arrow-next", "next"), arrow("arrow-grid", "grid"), body), this.flows, this.nodes);
  }

  draw(street, feeder) {
    const parties = street.on(feeder);
    const utilities = parties.filter((party) => party.kind === "utility");
    const households = parties.filter((party) => party.kind !== "utility");
    const size = sizes(households.length, this.root.clientWidth || 900);
    set(this.root, { viewBox: `0 0 ${size.width} ${size.height}` });
    const places = new Map();
    const { centre } = size;
    utilities.forEach((party, i) => {
      places.set(party.subscriber_id, { x: centre.x + (i - (utilities.length - 1) / 2) * 90, y: centre.y });
    });
    around(households.length, size).forEach((place, i) => places.set(households[i].subscriber_id, place));
    keep(this.nodes, parties, (party) => `${size.form} ${party.kind} ${party.subscriber_id}`, (party) => node(party, size.form),
      (element, party) => show(element, party, places.get(party.subscriber_id), size.form, street));
    this.drawFlows(street, parties, places, centre, size);
  }

  drawFlows(street, parties, places, centre, { form, width }) {
    const { now, next } = street.flows();
    const shown = [
      ...parties.flatMap((party) => backstop(party, parties)),
      ...next.map((contract) => flow("next", contract)),
      ...now.map((contract) => flow("now", contract)),
    ].filter(({ from, to }) => places.has(from) && places.has(to)).slice(-MOST_FLOWS);
    const labelled = form === "house" || (form === "small" && width > 500 && shown.length <= MOST_LABELLED);
    const thick = form === "dot" ? 0.5 : 1;
    keep(this.flows, shown, ({ key }) => key, create, (element, { kind, from, to, wh, bend }) => {
      const { d, at } = curve(places.get(from), places.get(to), centre, CLEAR[form], bend);
      const [path, label] = element.children;
      set(path, { d, class: `flow ${kind}`, "marker-end": `url(#arrow-${kind})`, "stroke-width": kind === "grid" ? 1.5 : thick * (2 + Math.min(5, wh / 400)) });
      set(label, { x: at.x.toFixed(1), y: at.y.toFixed(1) });
      say(label, labelled && kind !== "grid" ? energy(wh) : "");
    });
  }
}

const create = () => svg("g", {}, svg("path"), svg("text", { class: "flow-label" }));

const flow = (kind, contract) => ({
  key: `${kind} ${contract.transaction_id} ${contract.buyer} ${contract.seller} ${contract.slot}`,
  kind, from: contract.seller, to: contract.buyer, wh: contract.energy_wh, bend: kind === "now" ? 0 : 22,
});

/** What a household had from its utility, or gave it, in the last slot that was metered. */
function backstop(party, parties) {
  const utility = parties.find((other) => other.kind === "utility");
  if (!party.last_reading || !utility) return [];
  const wh = party.last_reading[6] - party.last_reading[7];
  if (!wh) return [];
  const ends = wh > 0 ? { from: utility.subscriber_id, to: party.subscriber_id } : { from: party.subscriber_id, to: utility.subscriber_id };
  return [{ key: `grid ${party.subscriber_id} ${Math.sign(wh)}`, kind: "grid", wh: Math.abs(wh), bend: -7, ...ends }];
}

const HOUSE = "M-25 -4 0 -25 25 -4V24H-25z";
const PYLON = "M-13 25 0 -27 13 25M-9 8 9 8 -11 22 11 22M-9 8 11 22M9 8 -11 22M-6 -4 6 -4M-18 -8 18 -8M-14 -16 14 -16M-18 -8V-4M18 -8V-4";

function node(party, form) {
  const link = svg("a", { href: `#/household/${encodeURIComponent(party.subscriber_id)}` });
  if (party.kind === "utility") {
    link.append(svg("circle", { class: "ground", r: 38 }), svg("path", { class: "pylon", d: PYLON }));
  } else if (form === "house") {
    link.append(svg("rect", { class: "hit", x: -56, y: -40, width: 112, height: 100, rx: 12 }), svg("path", { class: "house", d: HOUSE }),
      svg("rect", { class: "level", "clip-path": "url(#house-body)", x: -25, width: 50 }), svg("path", { class: "walls", d: HOUSE }),
      svg("text", { class: "percent", y: 12 }));
  } else {
    const r = form === "small" ? 16 : 7;
    link.append(svg("circle", { class: "house", r }), svg("circle", { class: "ring", r, pathLength: 100, transform: "rotate(-90)" }));
    if (form === "small") link.append(svg("text", { class: "percent", y: 4 }));
  }
  if (form !== "dot" || party.kind === "utility") link.append(svg("text", { class: "name" }), svg("text", { class: "doing" }), svg("text", { class: "power" }));
  return svg("g", { role: "listitem", class: `node ${party.kind} ${form}` }, link, svg("title"));
}

function show(element, party, { x, y }, form, street) {
  const [link, title] = element.children;
  const role = street.roleOf(party);
  const ask = street.askOf(party);
  set(element, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-role": role });
  const text = described(party, role, ask);
  set(link, { "aria-label": text });
  say(title, text);
  const find = (name) => link.querySelector(`.${name}`);
  const share = party.capacity_wh ? party.level_wh / party.capacity_wh : null;
  const kind = share === null ? "none" : share > 0.5 ? "high" : share > 0.2 ? "middle" : "low";
  set(element, { "data-level": kind });
  if (party.kind !== "utility") {
    if (form === "house") set(find("level"), { y: 24 - 49 * (share ?? 0), height: 49 * (share ?? 0) });
    else set(find("ring"), { "stroke-dasharray": `${100 * (share ?? 0)} 100` });
    if (form !== "dot") say(find("percent"), share === null ? "" : `${percent(party.level_wh, party.capacity_wh)}${form === "house" ? " %" : ""}`);
  }
  const name = find("name");
  if (!name) return;
  const below = party.kind === "utility" ? 54 : form === "house" ? 40 : 30;
  set(name, { y: below });
  say(name, cut(party.name, form === "small" ? 11 : 16));
  const doing = find("doing");
  const small = form === "small" && party.kind !== "utility";
  set(doing, { y: below + (party.kind === "utility" ? 15 : 29) });
  say(doing, small ? "" : deed(role, ask));
  const power = find("power");
  set(power, { y: below + (form === "small" ? 12 : 14) });
  const sign = small ? ROLE_TEXT[role].slice(0, 1).replace(/[a-z]/, "") : "";
  say(power, `${sign} ${party.last_reading ? powers(party.last_reading, form) : ""}`.trim());
}

/** PV and load in the last metered slot. */
const powers = ([, , pv, load], form) => (form === "small" ? `${kwh(4 * pv, 1)} | ${kwh(4 * load, 1)}` : `PV ${kwh(4 * pv, 1)} | load ${kwh(4 * load, 1)}`);

const deed = (role, ask) => (role === "seller" && ask !== null ? `${ROLE_TEXT.seller} ${price(ask)}` : role === "neither" ? "" : ROLE_TEXT[role]);

function described(party, role, ask) {
  const parts = [party.name, party.kind];
  if (party.capacity_wh) parts.push(`battery ${kwh(party.level_wh)} of ${kwh(party.capacity_wh)} kWh, ${percent(party.level_wh, party.capacity_wh)} %`);
  else if (party.kind !== "utility" && party.currency && role !== "unread") parts.push("no battery");
  if (party.last_reading) parts.push(`PV ${kw(party.last_reading[2])} kW, load ${kw(party.last_reading[3])} kW`);
  if (ask !== null) parts.push(`sells at ${price(ask)} ${party.currency} per kWh`);
  else parts.push({ seller: "sells", buyer: "buys", neither: "neither buys nor sells", leaving: "leaving the street", unknown: "has not said whether it buys or sells", unreached: "does not answer", unread: "has no reading of this slot" }[role]);
  return parts.join(", ");
}
