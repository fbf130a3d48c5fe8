// A small chart of values by slot: lines or an area, with its scale and times.

import { svg } from "./dom.js";
import { dayAndTime, kwh, timeOfDay } from "./text.js";

const LEFT = 44;
const BOTTOM = 22;

/**
 * `series` is a list of `{name, kind, values}`, values in Wh beside `slots`. `most` (Wh) is the top, if it is known;
 * `at` marks a slot by its number; with `days`, times have their date where there is more than a day.
 */
export function chart(title, slots, series, offsetS, { most = 0, width = 560, height = 150, at = null, days = false } = {}) {
  const top = Math.max(most, ...series.flatMap(({ values }) => values), 1);
  const x = (i) => LEFT + ((width - LEFT - 8) * i) / Math.max(1, slots.length - 1);
  const y = (wh) => 8 + (height - BOTTOM - 8) * (1 - wh / top);
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${spoken(series)}` });
  for (const part of [0, 0.5, 1]) {
    root.append(svg("line", { class: "rule", x1: LEFT, x2: width - 8, y1: y(part * top), y2: y(part * top) }),
      svg("text", { class: "scale", x: LEFT - 6, y: y(part * top) + 4, "text-anchor": "end" }, kwh(part * top, 1)));
  }
  if (at !== null) root.append(svg("line", { class: "cursor", x1: x(at), x2: x(at), y1: 8, y2: height - BOTTOM }));
  for (const { kind, values } of series) {
    const points = values.map((wh, i) => `${x(i).toFixed(1)} ${y(wh).toFixed(1)}`);
    if (kind === "level") root.append(svg("path", { class: "area", d: `M${x(0)} ${y(0)}L${points.join("L")}L${x(values.length - 1)} ${y(0)}z` }));
    root.append(svg("path", { class: `line ${kind}`, d: `M${points.join("L")}` }));
  }
  const text = days && slots.at(-1) - slots[0] > 86_400 ? dayAndTime : timeOfDay;
  const step = Math.max(1, Math.ceil((slots.length * (text === dayAndTime ? 150 : 60)) / (width - LEFT)), Math.ceil(slots.length / 8));
  slots.forEach((slot, i) => {
    if (i % step || x(i) > width - 24) return;
    root.append(svg("text", { class: "scale", x: x(i), y: height - 5, "text-anchor": i ? "middle" : "start" }, text(slot, offsetS)));
  });
  return root;
}

const spoken = (series) =>
  series.map(({ name, values }) => `${name} from ${kwh(Math.min(...values))} to ${kwh(Math.max(...values))} kWh, now ${kwh(values.at(-1))}`).join("; ");
