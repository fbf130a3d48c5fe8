// A trade's messages as a sequence diagram: who spoke to whom, when, and who refused.

import { svg } from "./dom.js";
import { cut, offset, short } from "./text.js";

const COLUMN = 150;
const ROW = 34;
const TOP = 58;
const LEFT = 66;

/**
 * Lifelines and arrows of a log. Sellers that only heard the search are one lifeline, however many they are.
 * Lifelines are `{id, name}`, arrows `{from, to, text, answer, why, at_ms}`. Pure.
 */
export function sequence(log, buyer, gateway) {
  const messages = log.filter((entry) => entry.kind === "message");
  // Who was chosen stands next to the gateway.
  const spoke = new Set([buyer, gateway, ...messages.filter(({ action }) => action === "select").map(({ recipient }) => recipient)]);
  for (const message of messages) {
    if (message.action !== "search") for (const id of [message.sender, message.recipient]) spoke.add(id);
  }
  const silent = [...new Set(messages.map((message) => message.recipient))].filter((id) => !spoke.has(id));
  const lifelines = [...spoke].map((id) => ({ id, name: id === gateway ? "gateway" : short(id) }));
  if (silent.length) lifelines.push({ id: "others", name: silent.length === 1 ? short(silent[0]) : `${silent.length} others` });
  const arrows = [];
  for (const message of messages) {
    const arrow = { from: message.sender, to: message.recipient, text: message.action, answer: message.answer, why: message.text, at_ms: message.at_ms };
    if (!silent.includes(message.recipient)) arrows.push(arrow);
    else if (!arrows.some(({ to }) => to === "others")) arrows.push({ ...arrow, to: "others" });
  }
  return { lifelines, arrows };
}

export function sequenceDrawing(log, buyer, gateway) {
  const { lifelines, arrows } = sequence(log, buyer, gateway);
  const began = arrows.length ? arrows[0].at_ms : 0;
  const x = new Map(lifelines.map(({ id }, i) => [id, LEFT + COLUMN * (i + 0.5)]));
  const width = LEFT + COLUMN * lifelines.length;
  const height = TOP + ROW * arrows.length + 24;
  const root = svg("svg", { class: "sequence", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `Sequence diagram: ${arrows.length} messages between ${lifelines.map(({ name }) => name).join(", ")}. The list below has the same.` });
  const head = (id, kind) => svg("marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" }, svg("path", { class: `head ${kind}`, d: "M0 0 10 5 0 10z" }));
  root.append(svg("defs", {}, head("head-ACK", "ACK"), head("head-NACK", "NACK"), head("head-LOST", "LOST")));
  for (const { id, name } of lifelines) {
    root.append(svg("line", { class: "lifeline", x1: x.get(id), x2: x.get(id), y1: 40, y2: height - 8 }),
      svg("rect", { class: `party ${id === buyer ? "buys" : id === gateway ? "gateway" : ""}`, x: x.get(id) - 64, y: 8, width: 128, height: 30, rx: 8 }),
      svg("text", { class: "party-name", x: x.get(id), y: 28, "text-anchor": "middle" }, cut(name, 16)));
  }
  arrows.forEach((arrow, i) => root.append(drawn(arrow, x, TOP + ROW * i + 16, began)));
  return root;
}

function drawn({ from, to, text, answer, why, at_ms }, x, y, began) {
  const [a, b] = [x.get(from), x.get(to)];
  const way = Math.sign(b - a) || 1;
  const sign = { ACK: "", NACK: "✕ ", LOST: "? " }[answer];
  const label = `${sign}${text}`;
  const room = Math.max(20, Math.floor(Math.abs(b - a) / 6.6) - label.length - 3);
  const middle = (a + b) / 2;
  return svg("g", { class: `arrow ${answer}`, "data-action": text, "data-answer": answer },
    svg("title", {}, `${text}, ${offset(at_ms - began)}${why ? `: ${why}` : ""}`),
    svg("text", { class: "offset", x: 4, y: y + 4 }, offset(at_ms - began)),
    svg("line", { x1: a, x2: b - way * 2, y1: y, y2: y, "marker-end": `url(#head-${answer})` }),
    svg("text", { class: "label", x: middle, y: y - 5, "text-anchor": "middle" }, label, why ? svg("tspan", { class: "why" }, ` ${cut(why, room)}`) : null));
}
