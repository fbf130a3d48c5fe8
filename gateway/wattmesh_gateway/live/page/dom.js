// Elements. Text from the network becomes text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

function make(element, attributes, children) {
  set(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const el = (name, attributes = {}, ...children) => make(document.createElement(name), attributes, children);

export const svg = (name, attributes = {}, ...children) =>
  make(document.createElementNS(SVG, name), attributes, children);

/** Set attributes that differ; null and false take one away. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

/** Set an element's text, if it differs: then nobody who reads it is disturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of `parent` those of `items`, in their order. A child stays the element that it is while its key
 * stays, so focus and animations do. `create(item)` makes one, `update(element, item)` brings it up to date.
 */
export function keep(parent, items, key, create, update) {
  const before = parent.kept ?? new Map();
  const kept = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const element = before.get(name) ?? create(item);
    update(element, item);
    kept.set(name, element);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const [name, element] of before) if (!kept.has(name)) element.remove();
  parent.kept = kept;
}
