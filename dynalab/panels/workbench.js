// The workbench in the browser, last part: hands, code lines, one view, and its life.
//
// One model, any number of views.  What is chosen (tab, node, key, speed) lies in the trait `view`;
// time on screen lies in one `Player` per model; so two views stay in step.

// --- hands: every control is a verb -----------------------------------------------------------------------------------

const field = (label, control, kind = "") => make("label", { class: `dyna-field ${kind}` }, make("span", {}, label), control);
const button = (label, onclick, attributes = {}) =>
  make("button", { type: "button", class: "dyna-button", onclick, ...attributes }, label);
const input = (attributes) => make("input", { class: "dyna-input", spellcheck: "false", autocomplete: "off", ...attributes });

/** Give a <select> these [value, label] options, keeping what is chosen. */
function options(select, pairs) {
  const now = JSON.stringify(pairs);
  if (select.pairs === now) return;
  const value = select.value;
  select.pairs = now;
  select.replaceChildren(...pairs.map(([each, label]) => make("option", { value: each }, label)));
  select.value = pairs.some(([each]) => each === value) ? value : pairs[0]?.[0] ?? "";
}

class Hands {
  constructor(view) {
    this.view = view;
    const say = view.say;
    this.select = (name, label, attributes) => make("select", { class: "dyna-input", "aria-label": label, "data-hand": name, ...attributes });
    this.place = make("div", { class: "dyna-hands", role: "group", "aria-label": say("hands.label") },
      this.clientHand(say), make("div", { class: "dyna-row" }, this.nodeHand(say), this.cutHand(say), this.linkHand(say)));
  }

  clientHand(say) {
    const named = (name, value, width) =>
      input({ value, style: `width:${width}px`, "aria-label": say(`hands.${name}`), title: say(`hands.${name}`), "data-hand": name });
    this.client = named("client", "alice", 68);
    this.client.setAttribute("list", this.clientList());
    this.via = this.select("via", say("hands.via"));
    [this.key, this.value] = [named("key", "cart", 70), named("value", '["milk"]', 80)];
    [this.n, this.r, this.w] = ["n", "r", "w"].map((name) => this.select(name, name.toUpperCase()));
    this.context = this.select("context", say("hands.context"));
    options(this.context, ["session", "none", "got", "local"].map((each) => [each, say(`context.${each}`)]));
    const request = (verb) => () => this.view.verb(verb, this.requested(verb));
    this.key.addEventListener("change", () => this.view.choose({ key: this.key.value }));
    [this.key, this.value].forEach((each) =>
      each.addEventListener("keydown", (event) => event.key === "Enter" && request("put")()));
    return make("div", { class: "dyna-row dyna-hand" }, make("span", { class: "dyna-legend" }, say("hands.asks")),
      this.client, this.via, this.key, field("=", this.value),
      field("N", this.n), field("R", this.r), field("W", this.w), this.context,
      make("span", { class: "dyna-verbs" }, ["put", "get", "delete"].map((verb) =>
        button(say(`hands.${verb}`), request(verb), { "data-verb": verb, class: "dyna-button dyna-main" }))));
  }

  clientList() {
    const id = `dyna-clients-${Math.random().toString(36).slice(2)}`;
    this.names = make("datalist", { id }, ...["alice", "bob", "carol"].map((value) => make("option", { value })));
    return id;
  }

  requested(verb) {
    const number = (select) => (select.value ? Number(select.value) : null);
    const asked = { client: this.client.value, key: this.key.value, via: this.via.value, n: number(this.n) };
    if (verb === "get") return { ...asked, r: number(this.r) };
    return { ...asked, w: number(this.w), context: this.context.value, ...(verb === "put" ? { value: this.value.value } : {}) };
  }

  nodeHand(say) {
    this.node = this.select("node", say("hands.node"), { onchange: () => this.view.choose({ node: this.node.value }) });
    this.verbs = make("span", { class: "dyna-verbs" });
    this.ms = input({ type: "number", value: 5000, step: 1000, style: "width:66px", class: "dyna-input dyna-number", "aria-label": say("hands.skew_ms"), "data-hand": "ms" });
    this.newcomer = input({ value: "F", size: 3, "aria-label": say("hands.newcomer"), style: "width:44px", "data-hand": "newcomer" });
    const on = (verb, more) => () => this.view.verb(verb, { node: this.node.value, ...more?.() });
    return make("div", { class: "dyna-hand" }, make("span", { class: "dyna-legend" }, say("hands.node")), this.node, this.verbs,
      make("span", { class: "dyna-joined" }, this.ms, button(say("hands.skew"), on("skew", () => ({ ms: Number(this.ms.value) })), { "data-verb": "skew" })),
      button(say("hands.leave"), on("leave"), { "data-verb": "leave" }),
      make("span", { class: "dyna-joined" }, this.newcomer,
        button(say("hands.join"), () => this.view.verb("join", { node: this.newcomer.value }), { "data-verb": "join" })));
  }

  cutHand(say) {
    this.sides = input({ value: "", style: "width:92px", placeholder: "AB|CDE", "aria-label": say("hands.sides"), "data-hand": "sides" });
    this.oneWay = make("input", { type: "checkbox", "data-hand": "one_way" });
    const cut = () => this.view.verb("partition", { sides: this.drafted || this.sides.value, one_way: this.oneWay.checked });
    this.sides.addEventListener("input", () => { this.drafted = null; });
    this.sides.addEventListener("keydown", (event) => event.key === "Enter" && cut());
    return make("div", { class: "dyna-hand" }, make("span", { class: "dyna-legend" }, say("hands.network")), this.sides,
      make("label", { class: "dyna-check" }, this.oneWay, say("hands.one_way")),
      button(say("hands.cut"), cut, { "data-verb": "partition" }),
      button(say("hands.heal"), () => this.view.verb("heal", {}), { "data-verb": "heal" }));
  }

  linkHand(say) {
    this.from = this.select("from", say("hands.from"));
    this.to = this.select("to", say("hands.to"));
    const number = (name, unit, max) => {
      this[name] = input({ type: "number", min: 0, max, value: 0, class: "dyna-input dyna-number", "data-hand": name });
      return field(`${say(`hands.${name}`)} ${unit}`, this[name], "dyna-short");
    };
    this.both = make("input", { type: "checkbox", "data-hand": "both_ways" });
    const set = () => this.view.verb("link", {
      from: this.from.value, to: this.to.value, drop: this.drop.value / 100, duplicate: this.duplicate.value / 100,
      reorder: this.reorder.value / 100, delay_low: Number(this.delay.value), both_ways: this.both.checked });
    return make("div", { class: "dyna-hand" }, make("span", { class: "dyna-legend" }, say("hands.link")),
      this.from, "→", this.to, number("drop", "%", 100), number("delay", "ms", 60000), number("duplicate", "%", 100), number("reorder", "%", 100),
      make("label", { class: "dyna-check" }, this.both, say("hands.both_ways")), button(say("hands.set"), set, { "data-verb": "link" }));
  }

  /** Show the sides of a cut that is being drawn, as code would name them. */
  draft(sides) {
    this.drafted = sides;
    const short = sides.every((side) => side.every((name) => name.length === 1));
    this.sides.value = sides.map((side) => side.join(short ? "" : ",")).join("|");
  }

  draw() {
    const { model, say } = this.view;
    const [scene, view] = [model.get("scene"), model.get("view")];
    this.place.hidden = scene.kind === "file" || Boolean(view.bare);
    if (!scene.nodes || scene.kind === "file") return;
    const names = scene.nodes.map((node) => node.name);
    const named = names.map((name) => [name, name]);
    options(this.via, [["", say("hands.any")], ...names.map((name) => [name, `${say("hands.via")} ${name}`])]);
    for (const select of [this.node, this.from, this.to]) options(select, named);
    if (!this.to.chosen && names.length > 1) [this.to.value, this.to.chosen] = [names[1], true];
    if (view.node && this.node.value !== view.node) this.node.value = view.node;
    const counts = (least, most) => Array.from({ length: most }, (_, i) => [String(i + 1), String(i + 1)]);
    for (const [select, usual] of [[this.n, "n"], [this.r, "r"], [this.w, "w"]])
      options(select, [["", `(${scene.config[usual]})`], ...counts(1, scene.config.n)]);
    const node = scene.nodes.find((each) => each.name === this.node.value) || scene.nodes[0];
    redraw(this.verbs, [node.name, node.state], () => nodeVerbs(node, say).map(([label, verb, extra]) =>
      button(label, () => this.view.verb(verb, { node: node.name, ...extra }),
        { "data-verb": extra.wipe ? "wipe" : verb, "data-keep": label })));
    if (document.activeElement !== this.newcomer && names.includes(this.newcomer.value)) this.newcomer.value = freeName(names);
  }
}

/** The first letter that no node has. */
const freeName = (names) => [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].find((letter) => !names.includes(letter)) || "newcomer";

// --- the code line ------------------------------------------------------------------------------------------------------

function drawLines(lines, say, open, toggle) {
  const shown = open ? [...lines].reverse() : lines.slice(-1);
  const mark = { running: "…", waiting: "◔", done: "✓", refused: "✕", unknown: "?" };
  return [
    make("div", { class: "dyna-linelist", role: "log", "aria-live": "polite" }, lines.length === 0 && make("span", { class: "dyna-soft" }, say("line.none")), shown.map((line) =>
      make("div", { class: `dyna-line dyna-line-${line.state}` }, make("code", {}, line.code),
        make("span", { class: "dyna-outcome", title: line.outcome }, `${mark[line.state]} ${say(`line.${line.state}`)} ${line.outcome}`)))),
    lines.length > 1 && make("button", { class: "dyna-button dyna-quiet", "data-keep": "lines", "aria-expanded": String(open), onclick: toggle },
      say(open ? "line.fewer" : "line.all", { count: lines.length })),
  ];
}

// --- one view -----------------------------------------------------------------------------------------------------------

const SPEEDS = [0, 1, 10, 100, 200, 500, 1000];

class View {
  constructor(model, root) {
    Object.assign(this, { model, root, say: speaker(model), player: playerOf(model), open: false, alive: performance.now() });
    this.hands = new Hands(this);
    this.stage = new Stage(this);
    this.messages = new Messages(this);
    this.time = new Time(this);
    this.merkle = new Merkle(this);
    this.head = make("header", { class: "dyna-head" });
    this.tabs = make("div", { class: "dyna-tabs", role: "tablist", "aria-label": this.say("tabs.label"), onkeydown: (event) => this.walkTabs(event) });
    this.clock = make("span", { class: "dyna-clock" });
    this.bar = make("div", { class: "dyna-bar" }, this.tabs, this.clock);
    this.pane = make("div", { class: "dyna-pane", role: "tabpanel", tabindex: 0 });
    this.body = make("div", { class: "dyna-body" }, this.stage.place, this.pane);
    this.lines = make("div", { class: "dyna-lines" });
    this.notice = make("div", { class: "dyna-notice", role: "alert", hidden: true });
    this.strip = make("div", { class: "dyna-strip" });
    // A click anywhere gives the panel the focus, so that the keys of a story are heard; JupyterLab's own are not meant here.
    root.append(make("div", { class: "dyna", tabindex: -1, "data-lm-suppress-shortcuts": "true", onkeydown: (event) => storyKey(this, event) },
      this.head, this.bar, this.notice, this.strip, this.body, this.hands.place, this.hands.names, this.lines));
  }

  /** Whether what is shown is not now: a moment of the time tab, or a saved trace. */
  isPast() {
    return this.model.get("scene").kind === "file" || this.model.get("view").tab === "time";
  }

  /** A trait as it is to be shown: of the moment travelled to, or as it is now. */
  shown(name) {
    const travel = this.model.get("travel");
    return this.model.get("view").tab === "time" && travel.scene ? travel[name] : this.model.get(name);
  }

  choose(changes) {
    this.model.set("view", { ...this.model.get("view"), ...changes });
    this.model.save_changes();
  }

  ask(what, content = {}) {
    this.model.send({ ask: what, ...content });
  }

  verb(verb, content) {
    this.ask("verb", { verb, arguments: content });
  }

  /** A message from Python for whatever tab has asked for it. */
  hear(content) {
    this.messages.hear(content);
    if (content.batch && this.model.get("view").tab === "messages") this.messages.stir();
  }

  walkTabs(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.indexOf(this.model.get("view").tab);
    this.choose({ tab: TABS[(at + step + TABS.length) % TABS.length] });
    this.tabs.querySelector("[aria-selected=true]")?.focus();
  }

  draw() {
    const view = this.model.get("view");
    this.drawHead();
    const tabs = TABS.filter((tab) => this.model.get("scene").kind !== "file" || !["metrics", "merkle", "stories"].includes(tab));
    redraw(this.tabs, [view.tab, tabs], () => tabs.map((tab) => make("button", {
      role: "tab", class: "dyna-tab", "data-keep": tab, "aria-selected": String(tab === view.tab),
      tabindex: tab === view.tab ? 0 : -1, onclick: () => this.choose({ tab }) }, this.say(`tab.${tab}`))));
    this.body.dataset.tab = view.tab;
    this.root.firstChild.classList.toggle("dyna-big", Boolean(view.big));
    this.drawStrip(view);
    this.drawPane();
    this.stage.draw();
    this.hands.draw();
    this.lines.hidden = this.model.get("scene").kind === "file";
    redraw(this.lines, [this.model.get("lines"), this.open], () =>
      drawLines(this.model.get("lines"), this.say, this.open, () => { this.open = !this.open; this.draw(); }));
    this.drawNotice();
    this.fit();
  }

  drawStrip(view) {
    const story = this.model.get("story");
    this.strip.hidden = !story.name || view.tab === "stories";
    if (!this.strip.hidden) redraw(this.strip, [story], () => drawStrip(this));
  }

  drawPane() {
    const tab = this.model.get("view").tab;
    if (tab === "messages" && this.opened !== tab) this.messages.ask();
    if (tab === "merkle" && this.opened !== tab) this.merkle.open();
    if (tab === "time" && this.opened !== tab && !this.model.get("travel").scene) this.ask("travel", { to: 0 });
    this.opened = tab;
    const [traits, draw] = PANES[tab] || [[], () => []];
    this.pane.setAttribute("aria-label", this.say(`tab.${tab}`));
    if (!this.model.get("scene").nodes) return;
    if (this.pane.dataset.tab !== tab) { // Another pane is another place: nothing of the last one is patched.
      this.pane.dataset.tab = tab;
      this.pane.replaceChildren();
      this.pane.scrollTop = 0;
    }
    redraw(this.pane, [tab, traits.map((name) => this.model.get(name))], () => draw(this));
  }

  drawHead() {
    const [scene, view, say] = [this.model.get("scene"), this.model.get("view"), this.say];
    if (!scene.nodes) return;
    const up = scene.nodes.filter((node) => node.state === "up").length;
    redraw(this.head, [scene.kind, scene.name, scene.config, scene.nodes.length, up, view.paused, view.speed, view.background, view.big, view.bare], () => [
      make("b", { class: "dyna-title" }, scene.name),
      make("span", { class: "dyna-soft" }, [say(`head.${scene.kind}`), say("head.nodes", { count: scene.nodes.length, up }),
        scene.config && `N=${scene.config.n} R=${scene.config.r} W=${scene.config.w}`].filter(Boolean).join(" · ")),
      scene.kind === "file" ? make("span", { class: "dyna-transport" }, this.switch("big", view.big, "head.big")) : make("span", { class: "dyna-transport" },
        button(say(view.paused ? "head.play" : "head.pause"), () => this.choose({ paused: !view.paused }), { "data-keep": "pause", "data-do": "pause" }),
        button(say("head.step"), () => this.step(), { "data-keep": "step", "data-do": "step" }),
        this.speedBox(view),
        scene.kind === "sim" && this.runBox(),
        make("label", { class: "dyna-check" }, make("input", { type: "checkbox", "data-keep": "background", "data-do": "background", checked: view.background, onchange: (event) => this.choose({ background: event.target.checked }) }), say("head.background")),
        this.switch("bare", !view.bare, "head.hands"), this.switch("big", view.big, "head.big"))]);
  }

  /** A switch of how the panel looks. */
  switch(name, on, label) {
    return button(this.say(label), () => this.choose({ [name]: !this.model.get("view")[name] }),
      { "data-keep": name, "data-do": name, "aria-pressed": String(Boolean(on)), title: this.say(`${label}.why`) });
  }

  speedBox(view) {
    return make("select", { class: "dyna-input", "aria-label": this.say("head.speed"), "data-keep": "speed", "data-do": "speed", onchange: (event) => this.choose({ speed: Number(event.target.value) }) },
      SPEEDS.map((speed) => make("option", { value: speed, selected: speed === view.speed }, speed > 1 ? `1/${speed}` : speed ? "1×" : this.say("head.auto"))));
  }

  runBox() {
    return make("span", { class: "dyna-joined" }, [100, 1000, 10000].map((ms) => button(this.say("head.run", { ms: ms < 1000 ? `${ms} ms` : `${ms / 1000} s` }),
      () => this.verb("run", { ms }), { "data-keep": `run-${ms}`, "data-run": ms })));
  }

  /** One step: to the next moment on screen; a simulation that has none takes a real one. */
  step() {
    if (!this.model.get("view").paused) this.choose({ paused: true });
    const moment = this.player.nextMoment();
    if (moment !== null) this.player.until = moment;
    else if (this.model.get("scene").kind === "sim") {
      this.player.chase = true;
      this.ask("step");
    }
  }

  drawNotice() {
    const scene = this.model.get("scene");
    const patience = 3.5 * this.model.get("beat_ms");
    const silent = performance.now() - this.alive > patience;
    const text = scene.closed ? this.say("notice.closed") : silent ? this.say("notice.dead") : this.model.get("trouble");
    this.notice.hidden = !text;
    if (this.notice.textContent !== text) this.notice.textContent = text;
    this.root.firstChild.classList.toggle("dyna-dead", silent);
  }

  /** Stage and pane take the height that is left; in a notebook, JupyterLab's own bars need room, too. */
  fit() {
    const bars = [this.head, this.bar, this.strip, this.hands.place].reduce((sum, each) => sum + each.offsetHeight, 40);
    const around = `${bars + (this.root.closest(".jp-NotebookPanel") ? 130 : 45)}px`;
    const style = this.root.firstChild.style;
    if (style.getPropertyValue("--around") !== around) style.setProperty("--around", around);
  }

  frame(at) {
    const [player, view] = [this.player, this.model.get("view")];
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (view.tab === "time") {
      this.time.player.advance(Math.min(100, at - (this.before || at)), this.time.speed, true);
      this.before = at;
      this.stage.frame(this.time.player, this.time.speed, still, true);
      return;
    }
    this.before = at;
    const speed = view.speed || player.auto();
    if (player.frame !== at) {
      player.advance(Math.min(100, at - (player.frame || at)), speed, view.paused);
      player.frame = at;
    }
    for (const mark of player.marks) if (mark.time <= player.now && !mark.seen) { mark.seen = at; }
    for (const mark of player.marks) if (mark.seen && !(mark.shown ??= new Set()).has(this)) { mark.shown.add(this); this.stage.pulse(mark); }
    player.marks = player.marks.filter((mark) => !mark.seen || at - mark.seen < 500).slice(-500);
    this.stage.frame(player, speed, still);
    this.drawClock(player, view);
  }

  drawClock(player, view) {
    const waiting = player.waiting();
    const text = this.say("head.clock", { ms: milliseconds(player.now) });
    const lag = waiting > 12 && !view.paused ? this.say("head.behind", { count: waiting }) : "";
    const lost = player.skipped ? this.say("head.skipped", { count: player.skipped }) : "";
    const told = [text, lag, lost].filter(Boolean).join(" · ");
    if (this.clock.told === told) return;
    this.clock.told = told;
    patch(this.clock, [make("span", {}, [text, lost].filter(Boolean).join(" · ")),
      ...(lag ? [make("button", { class: "dyna-button dyna-quiet", "data-keep": "catch-up", onclick: () => player.catchUp() }, lag)] : [])]);
  }
}

// --- life ---------------------------------------------------------------------------------------------------------------

const TRAITS = ["scene", "ring", "placement", "inside", "lines", "view", "words", "trouble", "travel", "metrics", "merkle", "story", "stories"];

function initialize({ model }) {
  const player = playerOf(model);
  const hear = (content) => {
    if (content.reset) player.reset(content.reset);
    if (content.hello) player.hello(content.hello);
    if (content.batch) player.add(content.batch);
  };
  model.on("msg:custom", hear);
  return () => {
    model.off("msg:custom", hear);
    players.delete(model.get("ident"));
  };
}

function render({ model, el }) {
  const view = new View(model, el);
  let waiting = 0;
  let frame = 0;
  const soon = () => { waiting ||= setTimeout(() => { waiting = 0; view.draw(); }, 0); };
  const alive = () => { view.alive = performance.now(); };
  const hear = (content) => { alive(); view.hear(content); };
  const lives = () => { alive(); soon(); };
  TRAITS.forEach((name) => model.on(`change:${name}`, lives));
  const arrive = () => view.time.arrive();
  model.on("change:travel", arrive);
  model.on("change:beat", alive);
  model.on("msg:custom", hear);
  const dead = () => { view.alive = -Infinity; view.drawNotice(); };
  model.on("comm:close", dead);
  const watch = setInterval(() => view.drawNotice(), 1000);
  const animate = (at) => { view.frame(at); frame = requestAnimationFrame(animate); };
  view.draw();
  view.ask("hello");
  const fit = setTimeout(() => view.fit(), 0); // Now the panel stands on the page.
  frame = requestAnimationFrame(animate);
  return () => {
    cancelAnimationFrame(frame);
    clearInterval(watch);
    clearTimeout(waiting);
    clearTimeout(fit);
    view.stage.watch.disconnect();
    TRAITS.forEach((name) => model.off(`change:${name}`, lives));
    model.off("change:travel", arrive);
    model.off("change:beat", alive);
    model.off("msg:custom", hear);
    model.off("comm:close", dead);
  };
}

export default { initialize, render };
