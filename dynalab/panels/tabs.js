// The workbench in the browser, second part: what each tab shows beside the stage.
//
// A pane is described again when its data changed, and patched: `PANES` names the data of each, and the function.

// --- panes: what the tabs show beside the stage -------------------------------------------------------------------------

const TABS = ["stage", "messages", "inspector", "time", "metrics", "merkle", "stories"];

const table = (heads, rows, attributes = {}) => make("table", { class: "dyna-table", ...attributes },
  make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
  make("tbody", {}, rows));
const row = (...cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell)));
const section = (title, ...content) => make("section", { "data-keep": title }, make("h4", {}, title), ...content);
const clockText = (clock) => Object.entries(clock).map(([node, count]) => `${node}:${count}`).join(" ") || "–";
const dotName = (name, look) => make("span", { class: "dyna-dot", style: `background:${look?.colour || "transparent"};color:${look?.ink || "inherit"}` }, name);

function stagePane(view) {
  const { say } = view;
  const [scene, placement] = [view.shown("scene"), view.shown("placement")];
  const look = scene.looks || {};
  const wrong = [
    ...scene.nodes.filter((node) => node.state !== "up").map((node) => say(`words.${node.state}`, { node: node.name })),
    ...scene.nodes.filter((node) => node.suspected_by.length).map((node) => say("words.suspected", { node: node.name, by: node.suspected_by.join(", ") })),
    ...(scene.faults.sides.length ? [say("words.cut", { sides: scene.faults.sides.map((side) => side.join(" ")).join(" | ") })] : scene.faults.words),
    ...(scene.faults.sides.length ? scene.faults.rules.map((rule) => `${rule.from} → ${rule.to}: ${rule.text}`) : []),
  ];
  return [
    section(say("stage.wrong"), wrong.length ? make("ul", { class: "dyna-wrong" }, wrong.map((text) => make("li", {}, text))) : make("p", { class: "dyna-soft" }, say("stage.well"))),
    placement.key && section(say("stage.placement", { key: placement.key }), table([say("stage.rank"), say("stage.keeper"), say("stage.holds")],
      [...new Set([...placement.homes, ...placement.fallbacks, ...Object.keys(placement.held)])].map((name, i) => row(
        i < placement.homes.length ? (i ? String(i + 1) : say("stage.first")) : say("stage.stand_in", { rank: i + 1 }), dotName(name, look[name]),
        [placement.held[name]?.map((s) => make("div", { class: "dyna-mono" }, s.deleted ? say("stage.deleted") : s.value, make("small", {}, ` ${s.dot}`))) || "–",
          placement.hints.filter((hint) => hint.holder === name).map((hint) => make("div", {}, say("stage.hint_for", { home: hint.home })))])))),
    section(say("stage.legend"), make("ul", { class: "dyna-legendlist" }, Object.keys(FAMILIES).map((family) =>
      make("li", {}, make("svg", { viewBox: "-13 -13 26 26", width: 24, height: 24, "aria-hidden": "true" },
        make("g", { class: `dyna-flight dyna-${family}` }, make("path", { d: SHAPES[family] }))), say(`family.${family}`)))),
    make("p", { class: "dyna-soft" }, say("stage.how"))),
  ];
}

function inspectorPane(view) {
  const { say } = view;
  const [inside, scene] = [view.shown("inside"), view.shown("scene")];
  const look = scene.looks || {};
  const names = scene.nodes.map((node) => node.name);
  const picker = make("div", { class: "dyna-picker", role: "group", "aria-label": say("inspector.pick") }, names.map((name) =>
    make("button", { class: "dyna-chip", "data-keep": `pick-${name}`, "aria-pressed": String(name === inside.node),
      style: `--dot:${look[name]?.colour};--ink:${look[name]?.ink}`, onclick: () => view.choose({ node: name }) }, name)));
  if (!inside.node) return [picker, make("p", { class: "dyna-soft" }, say("inspector.none"))];
  if (inside.down) return [picker, make("p", {}, say("inspector.down", { node: inside.node }))];
  if (inside.told) return [picker, recordsTable(inside, say)];
  return [picker,
    make("p", { class: "dyna-facts" }, say("inspector.facts", { incarnation: inside.incarnation, status: inside.status, keys: inside.keys, hints: inside.hint_count })),
    inside.requests.length > 0 && section(say("inspector.requests"), table([say("inspector.request"), say("inspector.key"), say("inspector.got"), say("inspector.from")],
      inside.requests.map((each) => row(`${each.kind} ${each.request}`, each.key ?? "", `${each.got} / ${each.need}`, each.nodes.join(", "))))),
    recordsTable(inside, say),
    inside.keys > inside.records.length && make("p", { class: "dyna-soft" }, say("inspector.more", { count: inside.keys - inside.records.length })),
    inside.hint_count > 0 && section(say("inspector.hints"), table([say("inspector.for"), say("inspector.key"), say("inspector.age")],
      inside.hints.map((hint) => row(dotName(hint.home, look[hint.home]), hint.key, `${hint.age_ms} ms`)))),
    inside.events?.length > 0 && section(say("inspector.events"), make("ol", { class: "dyna-log" }, inside.events.map(([ms, text]) =>
      make("li", {}, make("span", { class: "dyna-soft" }, `${ms.toFixed(1)}  `), text.replaceAll("client:", ""))))),
    section(say("inspector.peers"), table([say("inspector.peer"), say("inspector.belief"), "phi", say("inspector.silent")],
      Object.entries(inside.up).map(([peer, told]) => row(dotName(peer, look[peer]), say(told.believed_up ? "inspector.up" : "inspector.suspected"), String(told.phi), `${told.silent_ms} ms`)))),
    section(say("inspector.roots", { count: inside.roots.length }), make("div", { class: "dyna-roots" }, inside.roots.map(([end, root]) =>
      make("code", { class: /^0+$/.test(root) ? "dyna-void" : "", title: `${end} ${root}` }, `${end.slice(0, 2)} ${/^0+$/.test(root) ? "·" : root.slice(0, 4)}`)))),
    inside.log?.length > 0 && section(say("inspector.log"), make("pre", { class: "dyna-log" }, inside.log.join("\n"))),
  ];
}

function recordsTable(inside, say) {
  const rows = inside.records.flatMap((record) => record.siblings.map((sibling, i) => row(i ? "" : record.key,
    make("span", { class: "dyna-mono" }, sibling.deleted ? say("stage.deleted") : sibling.value), clockText(sibling.clock), sibling.dot)));
  const heads = ["key", "value", "clock", "dot"].map((head) => say(`inspector.${head}`));
  return section(say("inspector.records"), rows.length ? table(heads, rows) : make("p", { class: "dyna-soft" }, say("inspector.empty")));
}

// --- messages: table and space-time diagram ---------------------------------------------------------------------------

const ROW = 20;
const [SEQ, TIME, NODE, KIND, MESSAGE, PEER, KEY, REQUEST, LATENCY, CAUSE, TEXT] = Array.from({ length: 11 }, (_, i) => i);
const GROUPS = ["messages", "requests", "writes", "failures"];

class Messages {
  constructor(view) {
    const { say } = view;
    Object.assign(this, { view, token: Math.random().toString(36).slice(2), found: { rows: [] }, diagram: false, picked: 0, past: new Set() });
    const again = () => this.ask();
    this.node = make("select", { class: "dyna-input", "aria-label": say("messages.node"), "data-filter": "node", onchange: again });
    this.kind = make("select", { class: "dyna-input", "aria-label": say("messages.kind"), "data-filter": "kind", onchange: again });
    options(this.kind, [["", say("messages.all_kinds")], ...GROUPS.map((group) => [group, say(`messages.${group}`)])]);
    const text = (name) => input({ placeholder: say(`messages.${name}`), "aria-label": say(`messages.${name}`), "data-filter": name, style: "width:96px", oninput: again });
    [this.key, this.request] = [text("key"), text("request")];
    this.form = button("", () => { this.diagram = !this.diagram; this.draw(); }, { "data-do": "diagram" });
    this.told = make("p", { class: "dyna-soft", role: "status" });
    this.list = make("div", { class: "dyna-rows", tabindex: 0, "aria-label": say("tab.messages"), onkeydown: (event) => this.walk(event) });
    this.place = lasting(make("div", { class: "dyna-messages" },
      make("div", { class: "dyna-row" }, this.node, this.kind, this.key, this.request, this.form), this.told, this.list));
  }

  wanted() {
    return { node: this.node.value, kind: this.kind.value, key: this.key.value, request: this.request.value, background: this.view.model.get("view").background };
  }

  ask() {
    this.view.ask("rows", { token: this.token, wanted: this.wanted() });
  }

  /** New events have come: ask again, but not more often than twice a second. */
  stir() {
    this.waiting ??= setTimeout(() => { this.waiting = null; this.ask(); }, 500);
  }

  hear(content) {
    if (content.rows?.token === this.token) {
      this.found = content.rows;
      this.draw();
    }
    if (content.past?.token === this.token && content.past.seq === this.picked) {
      this.past = new Set(content.past.seqs);
      this.draw();
    }
  }

  pick(seq) {
    this.picked = this.picked === seq ? 0 : seq;
    this.past = new Set();
    if (this.picked) this.view.ask("past", { token: this.token, seq });
    this.draw();
  }

  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !this.found.rows.length) return;
    event.preventDefault();
    const seqs = this.shown().map((each) => each[SEQ]);
    const at = seqs.indexOf(this.picked);
    this.pick(seqs[Math.max(0, Math.min(seqs.length - 1, at + step))]);
    this.list.querySelector(".dyna-picked")?.scrollIntoView({ block: "nearest" });
  }

  shown() {
    return this.diagram ? this.found.rows : [...this.found.rows].reverse();
  }

  draw() {
    const { model, say } = this.view;
    const { rows, more, kept, dropped } = this.found;
    const names = [...(model.get("scene").nodes || []).map((node) => node.name), "cluster"];
    options(this.node, [["", say("messages.all_nodes")], ...names.map((name) => [name, name])]);
    this.form.textContent = say(this.diagram ? "messages.table" : "messages.diagram");
    this.told.textContent = [say("messages.shown", { count: rows.length }), more && say("messages.more"), dropped && say("messages.dropped", { count: dropped, kept })].filter(Boolean).join(" ");
    const drawing = this.diagram ? () => this.drawDiagram() : () => [this.drawTable()];
    redraw(this.list, [this.found, this.diagram, this.picked, [...this.past], this.list.clientWidth], drawing);
    return [this.place];
  }

  mark(seq) {
    return (seq === this.picked ? " dyna-picked" : "") + (this.past.has(seq) ? " dyna-past" : this.past.size ? " dyna-dim" : "");
  }

  drawTable() {
    const { say } = this.view;
    const heads = ["time", "node", "what", "latency"].map((head) => say(`messages.head_${head}`));
    return table(heads, this.shown().map((each) => make("tr", { class: `dyna-kind-${each[KIND]}${this.mark(each[SEQ])}`, "data-keep": each[SEQ], onclick: () => this.pick(each[SEQ]) },
      make("td", { class: "dyna-number-cell" }, each[TIME].toFixed(1)), make("td", {}, clientName(each[NODE])), make("td", {}, each[TEXT].replaceAll("client:", "")),
      make("td", { class: "dyna-number-cell" }, each[LATENCY] === null ? "" : `${each[LATENCY].toFixed(2)} ms`))));
  }

  drawDiagram() {
    const { rows, down } = this.found;
    const look = this.view.model.get("scene").looks || {};
    const lanes = [...new Set(rows.flatMap((each) => [each[NODE], each[PEER]]))].filter((name) => name && name !== "cluster").sort(byKind);
    const width = Math.max(300, this.list.clientWidth - 8);
    const x = (name) => 62 + ((width - 90) * (lanes.indexOf(name) + 0.5)) / Math.max(1, lanes.length);
    const y = new Map(rows.map((each, i) => [each[SEQ], 14 + i * ROW]));
    const bottom = 14 + rows.length * ROW;
    const near = (seq) => y.get(seq) ?? (rows.length && seq < rows[0][SEQ] ? 4 : rows.reduce((at, each) => (each[SEQ] <= seq ? y.get(each[SEQ]) : at), 4));
    const names = make("svg", { class: "dyna-spacetime dyna-lanenames", width, height: 24, "aria-hidden": "true", "data-keep": "names" }, lanes.map((name) =>
      make("text", { x: x(name), y: 16, class: "dyna-lanename", style: look[name] ? `--lane:${look[name].colour}` : "" }, short(clientName(name), 9))));
    return [names, make("svg", { class: "dyna-spacetime", width, height: bottom + 6, role: "img", "aria-label": this.view.say("messages.diagram"), "data-keep": "lanes" },
      (down || []).map(([node, begin, end]) => lanes.includes(node) && make("rect", { class: "dyna-downtime", x: x(node) - 9, width: 18, y: near(begin), height: Math.max(4, near(end) - near(begin)) })),
      lanes.map((name) => make("line", { class: "dyna-lane", x1: x(name), x2: x(name), y1: 0, y2: bottom })),
      rows.map((each) => this.drawEvent(each, x, y, width)))];
  }

  drawEvent(each, x, y, width) {
    const at = y.get(each[SEQ]);
    const attributes = { class: `dyna-event dyna-kind-${each[KIND]}${this.mark(each[SEQ])}`, onclick: () => this.pick(each[SEQ]), "data-seq": each[SEQ], "data-keep": each[SEQ] };
    const time = make("text", { class: "dyna-time", x: 52, y: at + 4 }, each[TIME].toFixed(1));
    const title = make("title", {}, `${each[NODE]} ${each[TEXT]}`);
    if (each[NODE] === "cluster") {
      return make("g", attributes, time, title, make("line", { class: "dyna-faultline", x1: 60, x2: width, y1: at, y2: at }), make("text", { class: "dyna-faulttext", x: 64, y: at - 3 }, short(each[TEXT], 60)));
    }
    const [from, here] = [x(each[PEER]), x(each[NODE])];
    const sent = y.get(each[CAUSE]);
    const family = familyOf(each[MESSAGE]);
    const middle = (here + from) / 2;
    const arrow = each[KIND] === "receive" ? make("path", { class: `dyna-arrow dyna-line-${family}`, d: sent === undefined ? `M${here + (from > here ? 22 : -22)},${at - 8}L${here},${at}` : `M${from},${sent}L${here},${at}` })
      : each[KIND] === "drop" ? make("path", { class: "dyna-arrow dyna-lost", d: `M${here},${sent ?? at}L${middle},${at}M${middle - 6},${at - 6}l12,12M${middle + 6},${at - 6}l-12,12` }) : null;
    const dot = each[KIND] === "drop" ? null : ["send", "receive"].includes(each[KIND])
      ? make("circle", { cx: here, cy: at, r: 4.5, class: `dyna-spot dyna-line-${family}` }) : make("rect", { x: here - 5, y: at - 5, width: 10, height: 10, class: "dyna-spot" });
    const label = this.picked === each[SEQ] || !["send", "receive", "drop"].includes(each[KIND]);
    const right = here < width * 0.65;
    return make("g", attributes, make("rect", { class: "dyna-hit", x: 56, y: at - ROW / 2, width: width - 60, height: ROW }), time, arrow, dot, title,
      label && make("text", { class: "dyna-eventtext", x: here + (right ? 9 : -9), y: at + 4, "text-anchor": right ? "start" : "end" }, short(each[KIND] + (this.picked === each[SEQ] ? ` ${each[MESSAGE]} ${each[KEY]}` : ""), 34)));
  }
}

/** Clients first, then nodes by name. */
const byKind = (a, b) => Number(b.startsWith("client:")) - Number(a.startsWith("client:")) || a.localeCompare(b, undefined, { numeric: true });

// --- time travel --------------------------------------------------------------------------------------------------------

const TRAVEL_MS = 700;

class Time {
  constructor(view) {
    const { say } = view;
    Object.assign(this, { view, player: new Player(), playing: null, speed: 1 });
    this.slider = make("input", { type: "range", class: "dyna-slider", min: 1, step: 1, "aria-label": say("time.slider"), "data-do": "slider", oninput: () => this.go(Number(this.slider.value)) });
    this.where = make("output", { class: "dyna-where" });
    this.play = button("", () => this.toggle(), { "data-do": "play" });
    this.place = lasting(make("div", { class: "dyna-row" },
      button(say("time.previous"), () => this.go(this.step() - 1), { "data-do": "previous" }), this.play,
      button(say("time.next"), () => this.go(this.step() + 1), { "data-do": "next" }), this.slider, this.where));
    this.told = lasting(make("div", {}));
  }

  step() {
    return this.view.model.get("travel").step || 0;
  }

  go(step) {
    this.view.ask("travel", { to: Math.max(1, step) });
  }

  toggle() {
    if (this.playing) clearInterval(this.playing);
    this.playing = this.playing ? null : setInterval(() => {
      const travel = this.view.model.get("travel");
      if (travel.step >= travel.of || this.view.model.get("view").tab !== "time") this.toggle();
      else this.go(travel.step + 1);
    }, TRAVEL_MS + 350);
    this.draw();
  }

  /** Another moment: its messages move from where they were at the moment before. */
  arrive() {
    const travel = this.view.model.get("travel");
    if (!travel.flights) return;
    this.player = new Player();
    const [before, now] = [travel.before_ms * 1000, travel.time_ms * 1000];
    const isNext = this.last === travel.step - 1;
    Object.assign(this.player, { now: isNext ? before : now, head: now, until: now, rests: true });
    this.player.take(travel.flights.map((flight) => [...flight]), []);
    this.speed = Math.max(1e-6, (TRAVEL_MS * 1000) / Math.max(1, now - before));
    this.last = travel.step;
  }

  draw() {
    const { model, say } = this.view;
    const travel = model.get("travel");
    this.play.textContent = say(this.playing ? "time.stop" : "time.play");
    this.slider.max = travel.of || 1;
    if (document.activeElement !== this.slider || !this.slider.matches(":active")) this.slider.value = travel.step || 1;
    this.where.textContent = travel.of ? say("time.where", { step: travel.step, of: travel.of, ms: travel.time_ms.toFixed(3) }) : say("time.nothing");
    redraw(this.told, [travel], () => travel.of ? this.drawMoment(travel, say) : []);
    return [this.place, this.told];
  }

  drawMoment(travel, say) {
    const changed = travel.changed.map((each) => make("li", {}, say(`time.${each.what}`, { ...each, was: each.was || say("time.none"), is: each.is || say("time.none") })));
    return [
      section(say("time.happened"), make("ul", { class: "dyna-log dyna-happened" }, travel.events.map((text) => make("li", {}, text.replaceAll("client:", ""))))),
      section(say("time.changed"), changed.length ? make("ul", { class: "dyna-changed" }, changed) : make("p", { class: "dyna-soft" }, say("time.unchanged"))),
      make("p", { class: "dyna-soft" }, say(travel.whole ? "time.whole" : "time.told")),
      inspectorPane(this.view),
    ];
  }
}

// --- metrics --------------------------------------------------------------------------------------------------------------

const plain = (number) => (number >= 100 ? Math.round(number).toLocaleString("en") : String(Math.round(number * 10) / 10));

/** A line over time with its latest value; `place` is the column of the samples. */
function sparkline(title, samples, place, unit) {
  const values = samples.map((sample) => sample[place]);
  const [width, height, top] = [230, 46, Math.max(1e-9, ...values)];
  const points = values.map((value, i) => `${(i * width) / Math.max(1, values.length - 1)},${height - (value / top) * (height - 4)}`);
  return make("figure", { class: "dyna-spark" }, make("figcaption", {}, title, make("b", {}, ` ${plain(values.at(-1) ?? 0)} ${unit}`)),
    make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} ${plain(values.at(-1) ?? 0)} ${unit}`, preserveAspectRatio: "none" },
      points.length > 1 && make("path", { d: "M" + points.join("L") })));
}

/** Who owns how much of the ring: a pie, each piece named. */
function pie(nodes, look, title) {
  let turn = 0;
  const at = { x: 62, y: 62 };
  const pieces = Object.entries(nodes).filter(([, node]) => node.owned > 0).map(([name, node]) => {
    const [from, to] = [turn, (turn += Math.min(node.owned, 0.9999))];
    const spot = turned((from + to) / 2, 42, at);
    return make("g", {}, make("path", { d: arcPath(from, to, 24, 60, at), fill: look[name]?.colour || "#888", class: "dyna-arc" }),
      node.owned > 0.05 && make("text", { x: spot.x, y: spot.y + 5, style: `fill:${look[name]?.ink}` }, short(name, 4)),
      make("title", {}, `${name} ${(100 * node.owned).toFixed(1)} %`));
  });
  return make("figure", { class: "dyna-pie" }, make("figcaption", {}, title), make("svg", { viewBox: "0 0 124 124", role: "img", "aria-label": title }, pieces));
}

function metricsPane(view) {
  const { model, say } = view;
  const [metrics, scene] = [model.get("metrics"), model.get("scene")];
  if (!metrics.operations) return [make("p", { class: "dyna-soft" }, say("metrics.wait"))];
  const look = scene.looks || {};
  const slider = make("input", { type: "range", min: 0, max: scene.kind === "sim" ? 200 : 400, step: 10, value: metrics.load.rate, "aria-label": say("metrics.load"), class: "dyna-slider", "data-do": "load", "data-keep": "load", oninput: (event) => view.ask("load", { rate: Number(event.target.value) }) });
  const most = Math.max(1, ...Object.values(metrics.nodes).map((node) => node.keys));
  const tell = (label, number) => row(label, make("span", { class: "dyna-number-cell" }, plain(number)));
  return [
    make("div", { class: "dyna-row" }, make("b", {}, say("metrics.load")), button(say(metrics.load.rate ? "metrics.off" : "metrics.on"), () => view.ask("load", { rate: metrics.load.rate ? 0 : 50 }), { "data-do": "load-switch", "data-keep": "load-switch", "aria-pressed": String(metrics.load.rate > 0) }),
      slider, make("output", {}, say("metrics.rate", { rate: metrics.load.rate, sent: metrics.load.sent, unsent: metrics.load.unsent }))),
    make("div", { class: "dyna-figures" }, sparkline(say("metrics.throughput"), metrics.samples, 1, say("metrics.per_s")), sparkline(say("metrics.p99"), metrics.samples, 2, "ms"), sparkline(say("metrics.messages"), metrics.samples, 3, say("metrics.per_s"))),
    section(say("metrics.latency"), table([say("metrics.operation"), say("metrics.count"), say("metrics.now"), "p50", "p99", "p99.9", say("metrics.failed")],
      Object.entries(metrics.operations).map(([kind, seen]) => row(say(`hands.${kind}`), plain(seen.count), `${plain(metrics.rates[kind])}/s`,
        ...["p50_ms", "p99_ms", "p99_9_ms"].map((name) => (seen.count ? `${seen[name].toFixed(2)} ms` : "–")), Object.entries(seen.failed).map(([name, count]) => `${name} ${count}`).join(", ") || "0")))),
    make("div", { class: "dyna-figures" }, pie(metrics.nodes, look, say("metrics.ranges")),
      make("div", { class: "dyna-grow" }, table([say("metrics.node"), say("metrics.keys"), say("metrics.hints"), say("metrics.open"), say("metrics.queue"), say("metrics.repairs")],
        Object.entries(metrics.nodes).map(([name, node]) => row(dotName(name, look[name]),
          make("span", { class: "dyna-bars-cell" }, make("span", { class: "dyna-bar-piece", style: `width:${(70 * node.keys) / most}px;background:${look[name]?.colour}` }), ` ${plain(node.keys)}`), plain(node.hints), plain(node.open), plain(node.waiting), plain(node.repairs)))))),
    section(say("metrics.since"), table([say("metrics.counter"), say("metrics.count")], [
      ...["messages", "dropped", "bytes"].map((name) => tell(say(`metrics.${name}`), metrics.totals[name])), ...Object.entries(metrics.counters).map(([name, count]) => tell(name.replaceAll("_", " "), count))])),
  ];
}

// --- Merkle trees -----------------------------------------------------------------------------------------------------------

class Merkle {
  constructor(view) {
    const { say } = view;
    Object.assign(this, { view, depth: 0 });
    const again = () => { this.depth = 0; this.ask(""); };
    [this.left, this.right] = ["left", "right"].map((side) => make("select", { class: "dyna-input", "aria-label": say(`merkle.${side}`), "data-merkle": side, onchange: again }));
    this.range = make("select", { class: "dyna-input", "aria-label": say("merkle.range"), "data-merkle": "range", onchange: () => { this.depth = 0; this.ask(this.range.value); } });
    this.place = lasting(make("div", { class: "dyna-row" }, this.left, "⇄", this.right, this.range,
      button(say("merkle.look"), () => this.ask(this.range.value), { "data-merkle": "look" })));
    this.told = lasting(make("div", {}));
  }

  ask(end) {
    this.view.ask("merkle", { left: this.left.value, right: this.right.value, end });
  }

  open() {
    const names = this.view.model.get("scene").nodes.map((node) => node.name);
    for (const select of [this.left, this.right]) options(select, names.map((name) => [name, name]));
    const { homes = [] } = this.view.model.get("placement");
    [this.left.value, this.right.value] = homes.length > 1 ? [homes[0], homes.at(-1)] : [names[0], names[1] ?? names[0]];
    this.ask("");
  }

  draw() {
    const { model, say } = this.view;
    const merkle = model.get("merkle");
    const names = model.get("scene").nodes.map((node) => node.name);
    for (const select of [this.left, this.right]) options(select, names.map((name) => [name, name]));
    if (merkle.ranges) {
      options(this.range, merkle.ranges.map(([end, differs, keys]) => [end, `…${end.slice(0, 4)} ${differs ? "≠" : "="} ${say("merkle.keys_in", { count: keys })}`]));
      this.range.value = merkle.end;
    }
    redraw(this.told, [merkle, this.depth], () => this.drawTrees(merkle, say));
    return [this.place, this.told];
  }

  drawTrees(merkle, say) {
    if (merkle.down?.length) return [make("p", {}, say("merkle.down", { nodes: merkle.down.join(", ") }))];
    if (!merkle.ranges) return [];
    const differing = merkle.ranges.filter(([, differs]) => differs).length;
    const told = [make("p", {}, say("merkle.ranges", { all: merkle.ranges.length, differing }))];
    if (!merkle.end) return [...told, make("p", { class: "dyna-soft" }, say("merkle.nothing"))];
    const levels = merkle.levels.slice(0, this.depth + 1);
    const deeper = this.depth < merkle.levels.length - 1 && merkle.levels[this.depth].some(([, , , differs]) => differs);
    return [...told, ...levels.map((level, depth) => this.drawLevel(level, depth, merkle, say)),
      make("div", { class: "dyna-row" },
        button(say("merkle.deeper"), () => { this.depth += 1; this.view.draw(); }, { "data-merkle": "deeper", "data-keep": "deeper", disabled: !deeper }),
        button(say("merkle.top"), () => { this.depth = 0; this.view.draw(); }, { "data-merkle": "top", "data-keep": "top", disabled: this.depth === 0 })),
      (this.depth === merkle.levels.length - 1 || !deeper) && this.drawKeys(merkle, say)];
  }

  drawLevel(level, depth, merkle, say) {
    const side = (place, name) => make("div", { class: "dyna-level", "aria-label": name }, level.map((branch) => {
      const [path, , , differs] = branch;
      const label = depth === 0 ? `${path} ${(merkle.roots[place - 1] || "").slice(0, 6)}` : `…${path.slice(-1)}`;
      return make("code", { class: `dyna-branch${differs ? " dyna-differs" : ""}${branch[place] ? "" : " dyna-absent"}`, title: say(differs ? "merkle.differs" : "merkle.equal", { path }) }, branch[place] ? label + (differs ? " ≠" : "") : "∅");
    }));
    return section(say("merkle.level", { level: depth, name: say(depth === 0 ? "merkle.root" : depth === merkle.levels.length - 1 ? "merkle.leaves" : "merkle.branches") }), make("div", { class: "dyna-sides" }, side(1, merkle.left), side(2, merkle.right)));
  }

  drawKeys(merkle, say) {
    const rows = merkle.keys.map((each) => row(each.key, ...[each.left, each.right].map((values) => make("span", { class: "dyna-mono" }, values.join(", ") || "–"))));
    const saved = merkle.all - merkle.sent;
    return [section(say("merkle.keys"), rows.length ? table([say("inspector.key"), merkle.left, merkle.right], rows) : make("p", { class: "dyna-soft" }, say("merkle.same"))),
      make("p", {}, say(saved > 0 ? "merkle.saved" : "merkle.cost", { sent: plain(merkle.sent), all: plain(merkle.all), saved: plain(Math.abs(saved)) }))];
  }
}

// --- stories ----------------------------------------------------------------------------------------------------------------

function storiesPane(view) {
  const { model, say } = view;
  const [story, scene] = [model.get("story"), model.get("scene")];
  const tell = (content) => {
    view.pane.focus({ preventScroll: true }); // The button goes; the keys that tell the story on shall be heard.
    view.telling = content.do !== "leave";
    view.ask("story", content);
  };
  if (!story.name) {
    const worlds = scene.kind === "live" ? ["live", "sim"] : ["sim"];
    return [make("p", { class: "dyna-soft" }, say("stories.pick")), make("ul", { class: "dyna-stories" }, model.get("stories").map((each) =>
      make("li", { "data-story": each.name, "data-keep": each.name }, make("div", {}, make("b", {}, each.title), make("div", { class: "dyna-soft" }, each.about)),
        make("span", { class: "dyna-verbs" }, worlds.map((world) => button(say(`stories.tell_${world}`), () => tell({ do: "begin", name: each.name, world }), { "data-world": world, "data-keep": world }))))))];
  }
  const ended = story.step === story.of && story.status === "shown";
  return [
    make("h3", { class: "dyna-storytitle" }, story.title, make("small", { class: "dyna-soft" }, ` ${say("stories.where", { step: story.step, of: story.of, world: say(`stories.${story.world}`) })}`)),
    make("p", { class: "dyna-narration", role: "status", "aria-live": "polite" }, story.narration),
    make("p", { class: `dyna-told dyna-told-${story.status}`, "data-status": story.status, "data-step": story.step }, { running: `… ${say("stories.running")}`, shown: `✓ ${say("stories.shown")}`, failed: `✕ ${say("stories.failed", { why: story.why })}`, ready: "" }[story.status]),
    make("div", { class: "dyna-row" },
      button(say("stories.next"), () => view.ask("story", { do: "next" }), { "data-story-do": "next", "data-keep": "next", class: "dyna-button dyna-main", disabled: story.step === story.of }),
      button(say("stories.back"), () => tell({ do: "back" }), { "data-story-do": "back", "data-keep": "back", disabled: story.step === 0 }),
      button(say("stories.restart"), () => tell({ do: "restart" }), { "data-story-do": "restart", "data-keep": "restart" }),
      button(say("stories.leave"), () => tell({ do: "leave" }), { "data-story-do": "leave", "data-keep": "leave" }),
      story.status === "failed" && story.world === "live" && button(say("stories.again"), () => tell({ do: "simulation" }), { "data-story-do": "simulation", "data-keep": "simulation" })),
    ended && make("p", {}, say("stories.end")),
    make("p", { class: "dyna-soft" }, say("stories.keys")),
  ];
}

/** While a story is told and another tab is looked at: where it is, in one line. */
function drawStrip(view) {
  const { model, say } = view;
  const story = model.get("story");
  const mark = { running: "…", shown: "✓", failed: "✕", ready: "" }[story.status];
  return [
    make("b", {}, `${story.title} ${story.step}/${story.of}`),
    make("span", { class: "dyna-grow", role: "status" }, story.narration),
    make("span", { class: `dyna-told-${story.status}` }, mark),
    button(say("stories.next"), () => view.ask("story", { do: "next" }), { "data-keep": "next", class: "dyna-button dyna-main", disabled: story.step === story.of }),
    button(say("tab.stories"), () => view.choose({ tab: "stories" }), { "data-keep": "stories", class: "dyna-button dyna-quiet" }),
  ];
}

/** Keys of a presenter's remote control: they tell the story on, wherever the focus is in the panel. */
function storyKey(view, event) {
  const wanted = { PageDown: "next", PageUp: "back", Home: "restart" }[event.key];
  const telling = view.telling || view.model.get("story").name; // Also while its cluster is still being made.
  if (!wanted || !telling || event.target.matches("input, select")) return;
  event.preventDefault();
  view.ask("story", { do: wanted }); // While a step is under way it waits its turn.
}

// --- all panes --------------------------------------------------------------------------------------------------------

/** {tab: [the traits its pane shows, how it is drawn]} */
const PANES = {
  stage: [["scene", "placement"], stagePane],
  messages: [[], (view) => view.messages.draw()],
  inspector: [["inside", "scene"], inspectorPane],
  time: [["travel"], (view) => view.time.draw()],
  metrics: [["metrics"], metricsPane],
  merkle: [["merkle", "scene"], (view) => view.merkle.draw()],
  stories: [["story", "stories", "scene"], storiesPane],
};
