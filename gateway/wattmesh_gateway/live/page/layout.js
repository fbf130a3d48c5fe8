// Where everybody stands: utilities in the middle, households around them in as many rings as it takes; on a phone,
// where rings of names would cover each other, in columns below them. Pure.

const COLUMNS = 4;
const FIRST_ROW = 150;
const ROW = 84;

/** How large the drawing of `count` households is, in a place `widthPx` wide, and how each is drawn. */
export function sizes(count, widthPx) {
  const phone = widthPx < 560;
  const form = count > 60 ? "dot" : count > (phone ? 12 : 18) ? "small" : "house";
  const width = phone ? 390 : 900;
  if (phone && form === "small" && count > 16) {
    return { form, width, height: FIRST_ROW + ROW * Math.ceil(count / COLUMNS), rings: 0, centre: { x: width / 2, y: 50 } };
  }
  const rings = form === "house" ? 1 : Math.ceil(count / (form === "dot" ? 70 : phone ? 12 : 20));
  const height = form === "dot" ? (phone ? 580 + 40 * rings : 520 + 60 * (rings - 1)) : phone ? 580 + 90 * (rings - 1) : 556 + 110 * (rings - 1);
  return { form, width, height, rings, centre: { x: width / 2, y: height / 2 } };
}

/** The places of `count` households: `{x, y}` each. */
export function around(count, { form, width, height, rings }) {
  if (!rings) {
    const at = (i) => ({ x: (width / COLUMNS) * ((i % COLUMNS) + 0.5), y: FIRST_ROW + ROW * Math.floor(i / COLUMNS) });
    return Array.from({ length: count }, (_, i) => at(i));
  }
  const margin = { house: [66, 80], small: [44, 54], dot: [22, 24] }[form];
  const inner = rings === 1 ? 1 : rings > 3 || form === "dot" ? 0.4 : 0.5;
  // An outer ring has room for more.
  const radii = Array.from({ length: rings }, (_, ring) => (rings === 1 ? 1 : inner + ((1 - inner) * ring) / (rings - 1)));
  const room = radii.reduce((sum, radius) => sum + radius, 0);
  const places = [];
  let left = count;
  radii.forEach((radius, ring) => {
    const here = ring === rings - 1 ? left : Math.round((count * radius) / room);
    left -= here;
    const rx = (width / 2 - margin[0]) * radius;
    const ry = (height / 2 - margin[1]) * radius;
    places.push(...evenly(here, rx, ry, ring * 0.5).map(([x, y]) => ({ x: width / 2 + x, y: height / 2 + y })));
  });
  return places;
}

/** Points at equal distances along an ellipse, from the top. `shift` turns them by a part of that distance. */
function evenly(count, rx, ry, shift) {
  const steps = 720;
  const points = Array.from({ length: steps + 1 }, (_, i) => {
    const angle = (2 * Math.PI * i) / steps - Math.PI / 2;
    return [rx * Math.cos(angle), ry * Math.sin(angle)];
  });
  const lengths = [0];
  for (let i = 1; i <= steps; i++) {
    lengths.push(lengths[i - 1] + Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1]));
  }
  const found = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const wanted = ((i + shift) / count) * lengths[steps];
    while (at < steps && lengths[at] < wanted) at++;
    found.push(points[at]);
  }
  return found;
}

/**
 * A curve from one place to another that keeps clear of the middle, where the utility stands, and of both ends.
 * `bend` moves it aside, so that two curves between the same places are two. Returns the path and its middle.
 */
export function curve(from, to, centre, clear, bend = 0) {
  const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  const long = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const across = { x: -(to.y - from.y) / long, y: (to.x - from.x) / long };
  const spoke = [from, to].some((place) => Math.hypot(place.x - centre.x, place.y - centre.y) < 5);
  let shift = bend;
  if (!spoke) {
    const out = (middle.x - centre.x) * across.x + (middle.y - centre.y) * across.y;
    const away = Math.hypot(middle.x - centre.x, middle.y - centre.y);
    // Not through the middle, and not through the neighbours on the way.
    if (away < 110) shift += (out < 0 ? -1 : 1) * (110 - away);
    else shift -= Math.sign(out) * Math.min(45, long * 0.13);
  }
  const via = { x: middle.x + 2 * shift * across.x, y: middle.y + 2 * shift * across.y };
  const a = towards(from, via, clear);
  const b = towards(to, via, clear + 4);
  const at = { x: a.x / 4 + via.x / 2 + b.x / 4, y: a.y / 4 + via.y / 2 + b.y / 4 };
  return { d: `M${num(a.x)} ${num(a.y)}Q${num(via.x)} ${num(via.y)} ${num(b.x)} ${num(b.y)}`, at };
}

function towards(from, to, by) {
  const long = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = Math.min(0.4, by / long);
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

const num = (value) => value.toFixed(1);
