// The workbench in the browser, tools: elements made from values, and a page that is mended, not drawn anew.
//
// `dom.js`, `stage.js`, `tabs.js` and `workbench.js` are read in this order as one module; only the last one exports.
// No library, no build step, nothing asked of any other host.
//
// Theory of operation.
// A part of the page is described from nothing whenever its data changed, with `make`.
// `patch` then compares that description with what is on the page, and changes only what differs.
// So an element stays the same element while somebody presses it, reads it, has it in focus or scrolls in it;
// its attributes, its text and what it does when clicked are those of the newest description.
//
// Rule 1: what can be clicked, or stands in a list that grows, has a name of its own: `data-keep`.
// Rule 2: a handler finds its element in the event; the one it was made with may never have been on the page.
// Rule 3: an element somebody keeps hold of is `lasting`: it is put in its place as it is, and never patched.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set("svg g path circle line rect text title polygon tspan".split(" "));

/** An element with attributes (`onclick` listens) and children; empty attributes and children are left out. */
function make(tag, attributes, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) (made.hears ??= {})[name] = made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...drawn(children));
  return made;
}

/** Children without the empty ones. */
const drawn = (children) =>
  children.flat(4).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

/** An element that is never patched: somebody keeps hold of it. */
const lasting = (element) => Object.assign(element, { lasting: true });

const nameOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.keep || null : null);

/** Whether the element on the page can become the wanted one. */
const alike = (old, next) =>
  !old.lasting && !next.lasting && old.nodeName === next.nodeName && nameOf(old) === nameOf(next);

/** Make these the children of `place`; what is alike stays what it is. */
function patch(place, wanted) {
  const names = new Set(wanted.map(nameOf).filter(Boolean));
  const themselves = new Set(wanted);
  const kept = new Map([...place.childNodes].filter(nameOf).map((child) => [nameOf(child), child]));
  const stays = (child) => themselves.has(child) || names.has(nameOf(child));
  let at = place.firstChild;
  for (const next of wanted) {
    const named = nameOf(next);
    // What has no place any more makes room; so what stays is not moved, for moving an element takes its focus.
    while (at && at !== next && (named || nameOf(at) || at.lasting) && !stays(at)) at = removed(at);
    const old = next.parentNode === place ? next : named ? kept.get(named) : at && !stays(at) ? at : null;
    kept.delete(named); // Should two have one name, the second is a new element.
    if (!old || (old !== next && !alike(old, next))) {
      place.insertBefore(next, at);
      if (old && old === at) at = removed(at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else place.insertBefore(old, at);
    if (old !== next) become(old, next);
  }
  while (at) at = removed(at);
}

function removed(node) {
  const following = node.nextSibling;
  node.remove();
  return following;
}

/** Make an element what another one of its kind is. */
function become(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of Object.keys(old.hears || {})) if (!next.hears?.[name]) old[name] = null;
  Object.assign(old, next.hears);
  old.hears = next.hears;
  patch(old, [...next.childNodes]);
  if (old.matches("input")) {
    old.checked = next.checked;
    if (document.activeElement !== old) old.value = next.value; // Nobody's typing or dragging is undone.
  }
  if (old.matches("select") && old.value !== next.value) old.value = next.value;
}

/** Describe a part of the page again when its data changed. */
function redraw(place, data, draw) {
  const now = JSON.stringify(data);
  if (place.drawn === now) return;
  place.drawn = now;
  patch(place, drawn([draw()]).map((child) => (child instanceof Node ? child : document.createTextNode(child))));
}

const short = (text, length) => (text.length <= length ? text : text.slice(0, length - 1) + "…");
const bare = (value) => value.replace(/[[\]'"]/g, "");
const clientName = (name) => name.replace(/^client:/, "");
const milliseconds = (us) => (us / 1000).toFixed(us < 1e6 ? 1 : 0);

/** Texts of the catalogue by id, with {names} filled in. */
const speaker = (model) => (id, values = {}) =>
  (model.get("words")[id] ?? id).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
