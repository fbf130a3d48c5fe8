// Numbers, times and names for people. Energy comes in Wh, money in millionths of the currency.

export const kwh = (wh, digits = 2) => (wh / 1000).toFixed(digits);

export const energy = (wh) => (Math.abs(wh) < 1000 ? `${wh} Wh` : `${kwh(wh)} kWh`);

/** The mean power of so much energy in a slot of 15 minutes. */
export const kw = (wh) => kwh(4 * wh);

export const percent = (part, whole) => Math.round((100 * part) / whole);

export function money(micro, currency = "") {
  const text = (Math.abs(micro) / 1e6).toFixed(2);
  return `${micro < 0 && text !== "0.00" ? "−" : ""}${text}${currency && ` ${currency}`}`;
}

/** A price per kWh, with as many decimals as it has, two at least and four at most. */
export function price(micro) {
  const text = (micro / 1e6).toFixed(4);
  return text.replace(/0{1,2}$/, "");
}

/** Local time of day of a grid time (unix seconds). */
export function timeOfDay(gridS, offsetS) {
  return new Date((gridS + offsetS) * 1000).toISOString().slice(11, 16);
}

export function dayAndTime(gridS, offsetS) {
  const day = new Date((gridS + offsetS) * 1000);
  const names = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };
  return `${new Intl.DateTimeFormat("en-GB", names).format(day)} ${timeOfDay(gridS, offsetS)}`;
}

/** A subscriber's name for people: its id without the namespace. */
export const short = (id) => id.split(".")[0];

export const cut = (text, longest) => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);

/** Wall time from one moment to another (ms), as `+1.24 s`. */
export const offset = (ms) => `+${(ms / 1000).toFixed(2)} s`;
