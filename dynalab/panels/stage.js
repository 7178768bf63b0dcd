// The workbench in the browser, first part: messages, time on screen, and the stage.

// --- messages: family, shape and colour -------------------------------------------------------------------------------

const FAMILIES = {
  client: ["ClientPut", "ClientGet", "ClientLeave", "ClientMove"],
  answer: ["ClientPutDone", "ClientGetDone", "ClientFailed", "ClientLeaveDone", "ClientMoveDone"],
  write: ["ReplicaPut"],
  read: ["ReplicaGet"],
  done: ["ReplicaPutDone", "ReplicaGetDone", "HintDeliverDone"],
  hint: ["HintDeliver"],
  repair: ["ReadRepair"],
  merkle: ["TreeGet", "TreeGetDone", "KeysGet", "KeysGetDone"],
  background: ["Ping", "PingDone", "Gossip", "GossipDone", "RootsGet", "RootsGetDone", "ReapAsk", "ReapAskDone", "Reap"],
};
const FAMILY = Object.fromEntries(Object.entries(FAMILIES).flatMap(([family, names]) => names.map((n) => [n, family])));

const SHAPES = {
  client: "M-9,-7H9V7H-9Z",
  answer: "M-9,-7H9V7H-9Z",
  write: "M0,-9A9,9 0 1 1 -0.01,-9Z",
  read: "M0,-10L10,0L0,10L-10,0Z",
  done: "M0,-6A6,6 0 1 1 -0.01,-6Z",
  hint: "M0,-11L10,8H-10Z",
  repair: "M-3.5,-10H3.5V-3.5H10V3.5H3.5V10H-3.5V3.5H-10V-3.5H-3.5Z",
  merkle: "M-5,-9H5L10,0L5,9H-5L-10,0Z",
  background: "M0,-3.5A3.5,3.5 0 1 1 -0.01,-3.5Z",
};

const familyOf = (message) => FAMILY[message] || "background";

// --- time on screen ---------------------------------------------------------------------------------------------------

const SHOWN_MS = 350; // A message is on screen at least so long, however fast it was.
const FADE_MS = 450;
const FLIGHTS_MAX = 3000;
const AUTO_LEAST = 0.25; // Who is far behind sees it four times as fast as it was, until he has caught up.

/** Where the screen is in the story that Python tells: it lags behind, skips idle times, and can be held. */
class Player {
  constructor() {
    this.reset({ head: 0 });
  }

  /** Another story begins. */
  reset({ head }) {
    Object.assign(this, { flights: [], ids: new Map(), marks: [], now: head, head, until: null, chase: false });
    Object.assign(this, { skipped: 0, usual: 700, frame: 0 });
  }

  hello({ head, flights }) {
    if (!this.head) this.now = this.head = head;
    this.take(flights, []);
  }

  add(batch) {
    this.take(batch.flights, batch.marks);
    this.head = Math.max(this.head, batch.head);
    if (this.chase) [this.until, this.chase] = [this.head, false];
  }

  take(flights, marks) {
    for (const [id, from, to, begin, end, message, key, request, why] of flights) {
      const known = this.ids.get(id);
      if (known) Object.assign(known, { end, why });
      else {
        const flight = { id, from, to, begin, end, message, key, request, why };
        this.flights.push(flight);
        this.ids.set(id, flight);
      }
      if (end !== null && !why) this.usual = 0.9 * this.usual + 0.1 * (end - begin);
    }
    this.marks.push(...marks.map(([seq, time, node, kind]) => ({ seq, time, node, kind, seen: null })));
    if (this.flights.length > FLIGHTS_MAX) {
      const gone = this.flights.splice(0, this.flights.length - FLIGHTS_MAX);
      gone.forEach((flight) => this.ids.delete(flight.id));
      this.skipped += gone.length;
      this.now = Math.max(this.now, this.flights[0].begin);
    }
  }

  /** When a flight leaves the screen, in the story's microseconds; never, while its end is not known. */
  static leaves(flight, speed) {
    return flight.end === null ? Infinity : Math.max(flight.end, flight.begin + (SHOWN_MS * 1000) / speed);
  }

  /** Let `ms` of screen time pass at 1/speed. */
  advance(ms, speed, paused) {
    if (paused && this.until === null) return;
    const leaving = this.flights.map((flight) => this.gone(flight, speed)).filter(Number.isFinite);
    const limit = this.until ?? Math.max(this.head, ...leaving);
    let next = this.now + (ms * 1000) / speed;
    const busy = this.flights.some((f) => f.end !== null && f.begin <= next && this.gone(f, speed) > this.now);
    if (!busy) next = Math.max(next, Math.min(limit, ...this.flights.map((f) => f.begin).filter((b) => b > next)));
    this.now = Math.min(next, Math.max(limit, this.now));
    if (this.until !== null && this.now >= this.until) this.until = null;
    this.forget(speed);
  }

  /** When nothing is seen of a flight any more: one that was lost fades. */
  gone(flight, speed) {
    return Player.leaves(flight, speed) + (flight.why ? (FADE_MS * 1000) / speed : 0);
  }

  /** Let go what has left the screen; at a moment of the time tab, what has just arrived is still to be seen. */
  forget(speed) {
    const stays = (flight) => this.gone(flight, speed) > this.now || (this.rests && this.gone(flight, speed) >= this.now);
    if (this.flights.every(stays)) return;
    this.flights.filter((flight) => !stays(flight)).forEach((flight) => this.ids.delete(flight.id));
    this.flights = this.flights.filter(stays);
  }

  /** The next moment worth stopping at; null when the story is told up to its head. */
  nextMoment() {
    const moments = this.flights.flatMap((f) => [f.begin, f.end]).filter((m) => m !== null && m > this.now);
    return moments.length ? Math.min(...moments) : null;
  }

  /** Flights that have happened and are not on screen yet. */
  waiting() {
    return this.flights.filter((flight) => flight.begin > this.now).length;
  }

  /** A speed at which one message can be followed with the eyes, and faster when many wait. */
  auto() {
    const calm = Math.max(1, Math.min(1000, 450_000 / this.usual));
    return Math.max(AUTO_LEAST, calm / (1 + this.waiting() / 6));
  }

  catchUp() {
    this.now = this.head;
    this.marks = [];
  }

  /** How far a flight has come, 0 to 1; null when it is not on screen. */
  progress(flight, speed) {
    if (flight.begin > this.now) return null;
    if (flight.end === null) return 0.9 * (1 - Math.exp(-(this.now - flight.begin) / Math.max(this.usual, 100)));
    const leaves = Player.leaves(flight, speed);
    return leaves <= flight.begin ? 1 : (this.now - flight.begin) / (leaves - flight.begin);
  }
}

// {identity of the model: its player}.  Every call gets another proxy of the model, and this module may be loaded
// once for the model and once for a view, so neither the proxy nor a variable of the module can tell them together.
const players = (globalThis[Symbol.for("dynalab.players")] ??= new Map());

function playerOf(model) {
  const ident = model.get("ident");
  if (!players.has(ident)) players.set(ident, new Player());
  return players.get(ident);
}

// --- the stage ----------------------------------------------------------------------------------------------------------

const turned = (turn, radius, at) => ({
  x: at.x + radius * Math.sin(2 * Math.PI * turn),
  y: at.y - radius * Math.cos(2 * Math.PI * turn),
});

const arcPath = (from, to, inner, outer, at) => {
  const large = to - from > 0.5 ? 1 : 0;
  const [a, b, c, d] = [turned(from, outer, at), turned(to, outer, at), turned(to, inner, at), turned(from, inner, at)];
  return `M${a.x},${a.y}A${outer},${outer} 0 ${large} 1 ${b.x},${b.y}L${c.x},${c.y}A${inner},${inner} 0 ${large} 0 ${d.x},${d.y}Z`;
};

/** The jagged line of a cut, from the middle outwards at a turn of the circle. */
function cutPath(turn, length, at) {
  const steps = 9;
  const points = Array.from({ length: steps + 1 }, (_, i) => {
    const along = turned(turn, (length * i) / steps, at);
    const aside = turned(turn + 0.25, i === 0 || i === steps ? 0 : i % 2 ? 6 : -6, { x: 0, y: 0 });
    return `${along.x + aside.x},${along.y + aside.y}`;
  });
  return "M" + points.join("L");
}

/** Where everything is, for a stage of this size. */
function seatsOf(scene, clients, width, height) {
  const nodes = scene.nodes || [];
  const shift = clients.length ? Math.min(70, width * 0.1) : 0;
  const radius = Math.max(60, Math.min(width - 2 * shift - 40, height - 44) / 2);
  const at = { x: width / 2 + shift * 0.6, y: height / 2 + 2 };
  const disc = Math.max(7, Math.min(30, radius * 0.15, (radius * 2.2) / Math.max(1, nodes.length)));
  const seats = new Map();
  const from = nodes.length === 1 ? 0 : radius * (nodes.length <= 12 ? 0.6 : 0.8);
  nodes.forEach((node, i) => seats.set(node.name, { ...turned(i / nodes.length, from, at), r: disc }));
  clients.forEach((name, i) => {
    const y = height / 2 + (i - (clients.length - 1) / 2) * Math.min(64, (height - 40) / clients.length);
    seats.set(name, { x: Math.max(46, at.x - radius - 30 - shift * 0.5), y, r: 16, client: true });
  });
  return { at, radius, disc, seats };
}

function drawRing(ring, look, seating, chosen) {
  const { at, radius } = seating;
  const [inner, outer] = [radius - 14, radius];
  if (!ring.arcs?.length) return make("circle", { class: "dyna-track", cx: at.x, cy: at.y, r: radius - 7 });
  return ring.arcs.map(([start, end, homes]) =>
    make("path", {
      d: arcPath(start, Math.min(end, start + 0.9999), inner, outer, at),
      fill: look[homes[0]]?.colour || "none",
      class: "dyna-arc" + (chosen && !homes.includes(chosen) ? " dyna-dim" : ""),
    }, make("title", {}, homes.join(", "))),
  );
}

function drawCuts(faults, nodes, seating) {
  const { at, radius, seats, disc } = seating;
  const sideOf = new Map((faults.sides || []).flatMap((side, i) => side.map((name) => [name, i])));
  const names = nodes.map((node) => node.name);
  const cuts = names.map((name, i) => [name, names[(i + 1) % names.length], (i + 0.5) / names.length])
    .filter(([a, b]) => sideOf.size && sideOf.get(a) !== sideOf.get(b) && names.length > 1)
    .map(([, , turn]) => make("path", { class: "dyna-cut", d: cutPath(turn, radius + 12, at) }));
  const links = [
    ...(faults.one_way || []).map(([from, to]) => ({ from, to, text: "⊘", kind: "dyna-oneway" })),
    ...(faults.rules || []).map((rule) => ({ ...rule, kind: "dyna-rule" })),
  ];
  return [cuts, links.slice(0, 40).map((link) => drawLink(link, seats, disc))];
}

function drawLink({ from, to, text, kind }, seats, disc) {
  const way = wayOf(seats.get(from), seats.get(to));
  if (!way) return null;
  const [mid, tip] = [way(0.5), way(0.86)];
  const angle = (Math.atan2(way(0.9).y - tip.y, way(0.9).x - tip.x) * 180) / Math.PI;
  const [begin, end] = [way(0), way(1)];
  return make("g", { class: kind },
    make("path", { d: `M${begin.x},${begin.y}Q${way.bend.x},${way.bend.y} ${end.x},${end.y}` }),
    make("path", { class: "dyna-tip", d: "M-9,-6L4,0L-9,6Z", transform: `translate(${tip.x},${tip.y})rotate(${angle})` }),
    make("text", { x: mid.x, y: mid.y, class: "dyna-linktext" }, short(text, 34)),
    make("title", {}, `${from} → ${to}: ${text}`));
}

/** The way from one seat to another: a shallow curve, so that both directions can be told apart. */
function wayOf(a, b) {
  if (!a || !b) return null;
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = { x: (a.x + b.x) / 2 - dy * 0.1, y: (a.y + b.y) / 2 + dx * 0.1 };
  const [first, last] = [Math.min(0.45, a.r / length), 1 - Math.min(0.45, b.r / length)];
  const way = (part) => {
    const t = first + (last - first) * part;
    const [p, q, r] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
    return { x: p * a.x + q * bend.x + r * b.x, y: p * a.y + q * bend.y + r * b.y };
  };
  way.bend = bend;
  return way;
}

function drawPlacement(placement, seating, say) {
  const { at, radius, seats, disc } = seating;
  if (!placement.key) return null;
  const hints = placement.hints.map(({ holder, home }) =>
    drawLink({ from: holder, to: home, text: say("stage.hint"), kind: "dyna-hint" }, seats, disc));
  if (placement.at === null) return hints;
  const flag = turned(placement.at, radius + 3, at);
  const tip = turned(placement.at, radius - 18, at);
  const lines = placement.homes.map((name) => seats.get(name)).filter(Boolean)
    .map((seat) => make("line", { class: "dyna-home", x1: tip.x, y1: tip.y, x2: seat.x, y2: seat.y }));
  return [lines, hints, make("g", { class: "dyna-flag" }, make("circle", { cx: flag.x, cy: flag.y, r: 7 }),
    keyLabel(placement, flag, at))];
}

/** On the nodes themselves: their place in the preference list of the chosen key, and what they hold of it. */
function drawCards(placement, { seats }, say) {
  if (!placement.key) return [];
  const roomy = seats.size <= 16;
  const ranks = [...placement.homes, ...placement.fallbacks].map((name, i) => {
    const seat = seats.get(name);
    if (!seat || (!roomy && i >= placement.homes.length)) return null;
    const [x, y] = [seat.x + seat.r * 0.86, seat.y - seat.r * 0.86];
    const kind = i < placement.homes.length ? "dyna-rank" : "dyna-rank dyna-fallback";
    return make("g", { class: kind, transform: `translate(${x},${y})` },
      make("circle", { r: 10 }), make("text", { y: 5 }, String(i + 1)),
      make("title", {}, say(i < placement.homes.length ? "stage.home" : "stage.fallback", { rank: i + 1 })));
  });
  return [roomy ? drawHeld(placement, seats) : null, ranks];
}

function keyLabel(placement, flag, at) {
  const right = flag.x >= at.x;
  return make("text", { x: flag.x + (right ? 11 : -11), y: flag.y + 5, "text-anchor": right ? "start" : "end" },
    short(placement.key, 16));
}

/** What each node holds of the chosen key, on a card below it: one row per sibling. */
function drawHeld(placement, seats) {
  return Object.entries(placement.held).map(([name, siblings]) => {
    const seat = seats.get(name);
    if (!seat) return null;
    const rows = siblings.length > 2 ? [...siblings.slice(0, 1), null] : siblings;
    const texts = rows.map((s) => (s ? (s.deleted ? "✝" : short(bare(s.value), 14)) : `+ ${siblings.length - 1}`));
    const width = Math.max(34, ...texts.map((text) => text.length * 7.6 + 14));
    return make("g", { class: "dyna-held", transform: `translate(${seat.x},${seat.y + seat.r + 5})` },
      make("rect", { x: -width / 2, width, height: 18 * texts.length + 4, rx: 4,
        class: siblings.length > 1 ? "dyna-siblings" : "" }),
      texts.map((text, i) => make("text", { y: 16 + 18 * i }, text)),
      make("title", {}, siblings.map((s) => `${s.value} ${s.dot}`).join("\n")));
  });
}

function drawNode(node, seating, look, chosen, say, act) {
  const { x, y, r } = seating.seats.get(node.name);
  const doubted = node.state === "up" && node.suspected_by.length;
  const states = [node.state, node.status && node.status !== "up" ? node.status : "", doubted ? "suspected" : ""];
  const label = say("stage.node", {
    node: node.name, states: states.filter(Boolean).map((s) => say(`state.${s}`)).join(", "),
    keys: node.keys ?? "?", hints: node.hints,
  });
  const small = r < 15;
  const open = (event) => {
    if (event.type === "keydown" && !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    act(node.name);
  };
  return make("g", {
    class: `dyna-node dyna-${node.state}${doubted ? " dyna-suspected" : ""}${chosen === node.name ? " dyna-chosen" : ""}`,
    transform: `translate(${x},${y})`, tabindex: 0, role: "button", "aria-label": label, "data-node": node.name,
    "data-keep": `node-${node.name}`, onclick: open, onkeydown: open,
  },
  make("title", {}, label),
  make("circle", { class: "dyna-halo", r: r + 6 }),
  make("circle", { class: "dyna-disc", r, fill: look?.colour || "#888", style: `--ink:${look?.ink || "#fff"}` }),
  node.state === "crashed" && make("path", { class: "dyna-cross", d: `M${-r},${-r}L${r},${r}M${r},${-r}L${-r},${r}` }),
  node.state === "paused" && make("path", { class: "dyna-bars", d: `M${-r * 0.38},${-r * 0.55}V${r * 0.55}M${r * 0.38},${-r * 0.55}V${r * 0.55}` }),
  node.state !== "paused" && make("text", { class: "dyna-name", y: small ? 4 : 7,
    style: `fill:${look?.ink || "#fff"};font-size:${Math.min(20, (r * 2.1) / Math.max(1, node.name.length * 0.62))}px` }, short(node.name, 8)),
  !small && badge(states.filter((s) => s && s !== "up").map((s) => say(`state.${s}`)).join(" ") +
    (doubted ? ` ${node.suspected_by.length}` : ""), 0, -r - 11, "dyna-state"),
  !small && node.hints > 0 && badge(`⚑ ${node.hints}`, -r - 12, -r * 0.4, "dyna-hints"),
  node.state === "paused" && badge(node.name, 0, r + 15, "dyna-state"));
}

function badge(text, x, y, kind) {
  if (!text.trim()) return null;
  return make("text", { class: `dyna-badge ${kind}`, x, y }, text);
}

function drawClient(name, seat) {
  return make("g", { class: "dyna-client", transform: `translate(${seat.x},${seat.y})` },
    make("path", { d: "M-11,13A11,11 0 0 1 11,13Z M0,-9A6.5,6.5 0 1 1 -0.01,-9Z" }),
    make("text", { y: 29 }, short(clientName(name), 10)));
}

/** The flights on screen: elements are used again, only their places change from frame to frame. */
class Sky {
  constructor(layer) {
    this.layer = layer;
    this.pool = new Map();
  }

  show(player, seats, speed, still, labels) {
    const seen = new Set();
    for (const flight of player.flights) {
      const part = player.progress(flight, speed);
      const way = part === null ? null : wayOf(seats.get(flight.from), seats.get(flight.to));
      if (!way) continue;
      seen.add(flight.id);
      const place = this.element(flight, labels);
      const stop = { cut: 0.5, down: 0.96 }[flight.why] ?? (flight.why ? 0.6 : 1);
      const spot = way(still ? Math.min(0.55, stop) : Math.min(part, stop));
      place.setAttribute("transform", `translate(${spot.x.toFixed(1)},${spot.y.toFixed(1)})`);
      place.classList.toggle("dyna-dying", Boolean(flight.why) && part >= stop);
    }
    for (const [id, place] of this.pool) if (!seen.has(id)) { place.remove(); this.pool.delete(id); }
  }

  element(flight, labels) {
    let place = this.pool.get(flight.id);
    if (!place) {
      const family = familyOf(flight.message);
      place = make("g", { class: `dyna-flight dyna-${family}`, "data-message": flight.message },
        make("path", { d: SHAPES[family] }), make("path", { class: "dyna-x", d: "M-9,-9L9,9M9,-9L-9,9" }),
        labels && family !== "background" && make("text", { y: -14 }, flight.message));
      this.pool.set(flight.id, place);
      this.layer.append(place);
    }
    return place;
  }
}

function pulse(layer, mark, seats) {
  const seat = seats.get(mark.node);
  if (!seat || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const ring = make("circle", { class: `dyna-pulse dyna-pulse-${mark.kind}`, cx: seat.x, cy: seat.y, r: seat.r + 3 });
  ring.addEventListener("animationend", () => ring.remove());
  layer.append(ring);
}

/** The stage of one view: static layers drawn when something changed, flights moved in every frame. */
class Stage {
  constructor(view) {
    this.view = view;
    this.still = make("g");
    this.links = make("g");
    this.nodes = make("g");
    this.flights = make("g", { class: "dyna-sky" });
    this.cards = make("g", { class: "dyna-cards" });
    this.overlay = make("g");
    this.svg = make("svg", { role: "group", "aria-label": view.say("stage.label"), class: "dyna-svg" },
      this.still, this.links, this.nodes, this.cards, this.flights, this.overlay);
    this.menu = make("div", { class: "dyna-menu", role: "menu", hidden: true });
    this.place = make("div", { class: "dyna-stage" }, this.svg, this.menu);
    this.sky = new Sky(this.flights);
    this.clients = [];
    this.size = [0, 0];
    this.watch = new ResizeObserver(() => this.view.draw());
    this.watch.observe(this.place);
    this.listenForCuts();
    this.place.addEventListener("keydown", (event) => event.key === "Escape" && this.closeMenu(true));
  }

  draw() {
    const { model, say } = this.view;
    const [scene, ring, placement] = ["scene", "ring", "placement"].map((name) => this.view.shown(name));
    const view = model.get("view");
    this.size = [this.place.clientWidth || 480, this.place.clientHeight || 380];
    this.svg.setAttribute("viewBox", `0 0 ${this.size[0]} ${this.size[1]}`);
    if (!scene.nodes) return;
    this.seating = seatsOf(scene, this.clients, ...this.size);
    const look = scene.looks || {};
    redraw(this.still, [ring, this.size, this.clients, view.node, scene.nodes.length], () =>
      drawRing(ring, look, this.seating, view.node));
    redraw(this.links, [scene.faults, placement, this.size, this.clients, scene.nodes.length], () =>
      [drawCuts(scene.faults, scene.nodes, this.seating), drawPlacement(placement, this.seating, say)]);
    redraw(this.cards, [placement, this.size, this.clients, scene.nodes.length], () => drawCards(placement, this.seating, say));
    redraw(this.nodes, [scene.nodes, view.node, this.size, this.clients], () => [
      scene.nodes.map((node) =>
        drawNode(node, this.seating, look[node.name], view.node, say, (name) => this.openMenu(name))),
      this.clients.map((name) => drawClient(name, this.seating.seats.get(name)))]);
  }

  frame(player, speed, still, labelled = speed >= 200) {
    const known = player.flights.flatMap((f) => [f.from, f.to]).filter((name) => name.startsWith("client:"));
    const clients = [...new Set([...this.clients, ...known])].slice(0, 8);
    if (clients.length !== this.clients.length) {
      this.clients = clients;
      this.draw();
    }
    if (!this.seating) return;
    const labels = labelled && player.flights.filter((f) => f.begin <= player.now).length <= 9;
    this.sky.show(player, this.seating.seats, speed, still, labels);
  }

  pulse(mark) {
    if (this.seating) pulse(this.overlay, mark, this.seating.seats);
  }

  // Clicking a node opens its verbs beside it.
  openMenu(name) {
    const { say } = this.view;
    this.view.choose({ node: name });
    const node = this.view.shown("scene").nodes.find((each) => each.name === name);
    const seat = this.seating.seats.get(name);
    const verbs = this.view.isPast() ? [] : nodeVerbs(node, say);
    this.menu.replaceChildren(make("b", {}, say("stage.menu", { node: name, state: say(`state.${node.state}`) })),
      ...verbs.map(([label, verb, extra]) => make("button", { role: "menuitem", class: "dyna-button", "data-keep": label,
        onclick: () => { this.view.verb(verb, { node: name, ...extra }); this.closeMenu(true); } }, label)),
      make("button", { role: "menuitem", class: "dyna-button dyna-quiet",
        onclick: () => { this.view.choose(this.view.isPast() ? { node: name } : { node: name, tab: "inspector" }); this.closeMenu(); } }, say("stage.look")));
    this.menu.hidden = false;
    const left = Math.min(seat.x + seat.r + 8, this.size[0] - this.menu.offsetWidth - 4);
    const top = Math.min(Math.max(4, seat.y - 30), this.size[1] - this.menu.offsetHeight - 4);
    Object.assign(this.menu.style, { left: `${Math.max(4, left)}px`, top: `${Math.max(4, top)}px` });
    this.menu.querySelector("button")?.focus({ preventScroll: true });
    this.menuOf = name;
  }

  closeMenu(back) {
    if (this.menu.hidden) return;
    this.menu.hidden = true;
    if (back) this.nodes.querySelector(`[data-node="${CSS.escape(this.menuOf)}"]`)?.focus({ preventScroll: true });
  }

  // Dragging a line across the stage cuts the network along it.
  listenForCuts() {
    let from = null;
    const spot = (event) => {
      const box = this.svg.getBoundingClientRect();
      const scale = this.size[0] / box.width; // Not 1 when the panel is enlarged.
      return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    };
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".dyna-node") || event.button) return;
      this.closeMenu();
      from = spot(event);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = spot(event);
      const sides = this.sidesOf(from, to);
      this.overlay.querySelector(".dyna-draft")?.remove();
      this.overlay.append(make("line", { class: "dyna-draft", x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
      if (sides) this.view.hands.draft(sides);
    });
    const end = (event) => {
      this.overlay.querySelector(".dyna-draft")?.remove();
      const sides = from && event.type === "pointerup" ? this.sidesOf(from, spot(event)) : null;
      from = null;
      if (sides) this.view.verb("partition", { sides });
    };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointerleave", end);
  }

  /** The nodes left and right of a line; null when it is short, or all nodes are on one side. */
  sidesOf(a, b) {
    if (this.view.isPast() || Math.hypot(b.x - a.x, b.y - a.y) < 60) return null;
    const left = (seat) => (b.x - a.x) * (seat.y - a.y) - (b.y - a.y) * (seat.x - a.x) < 0;
    const names = this.view.model.get("scene").nodes.map((node) => node.name);
    const sides = [true, false].map((side) => names.filter((name) => left(this.seating.seats.get(name)) === side));
    if (!sides[0].length || !sides[1].length) return null;
    return sides.sort((one, other) => names.indexOf(one[0]) - names.indexOf(other[0]));
  }
}

/** The verbs that make sense for a node in its state: [label, verb, further arguments]. */
function nodeVerbs(node, say) {
  if (node.state === "crashed") {
    return [[say("hands.recover"), "recover", {}], [say("hands.wipe"), "recover", { wipe: true }]];
  }
  if (node.state === "paused") return [[say("hands.resume"), "resume", {}], [say("hands.crash"), "crash", {}]];
  return [[say("hands.crash"), "crash", {}], [say("hands.pause"), "pause", {}]];
}
