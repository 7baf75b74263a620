/**
 * The console: what one agent knows of its node, kept fresh. Everything that comes from the agent is put in as text,
 * never as markup: a process or a pod may be named like a script.
 *
 * @module
 */
import { axisEnd, MessageReader, ratesOf, readMetrics, wordBytes, wordNumber } from "./metrics.js";

const METRICS_SECONDS = 5;
const STATUS_SECONDS = 10;
/** Readings in the chart: ten minutes. */
const HISTORY_MAX = 120;
/** Events kept in the page; the agent keeps more. */
const EVENTS_MAX = 500;
/** Rows of the table; further pods are found by the filter. */
const PODS_MAX = 300;
const RETRY_SECONDS_MAX = 30;
/** The agent itself gives up after 60. */
const DIAGNOSIS_SECONDS_MAX = 65;

/** Figures, and the metrics whose samples they add up. */
const FIGURES = [
  { name: "receive", title: "Received", metrics: ["netdev_receive_bytes_total"], bytes: true },
  { name: "transmit", title: "Sent", metrics: ["netdev_transmit_bytes_total"], bytes: true },
  { name: "drops", title: "Drops", metrics: ["packetloss_packets_total"] },
  { name: "resets", title: "Resets", metrics: ["tcpreset_resets_total", "tcpreset_total"] },
  {
    name: "retransmits",
    title: "Retransmits",
    short: "Retrans.",
    metrics: ["tcp_retrans_segs_total"],
  },
];
const WANTED = new Map(
  FIGURES.flatMap(({ name, metrics }) => metrics.map((metric) => [`podskoop_${metric}`, name])),
);

const STATES = { Running: "good", Degraded: "warn", Late: "warn", Failed: "bad", Missing: "warn" };

const state = {
  token: sessionStorage.getItem("podskoop-token") ?? "",
  reading: undefined,
  rates: new Map(),
  history: [],
  pods: new Map(),
  sort: { by: "receive", descending: true },
  refused: false,
  events: [],
  types: new Set(),
  paused: false,
  lastId: "",
  stream: undefined,
};

function find(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`Cannot find "${id}" in the page`);
  return element;
}

/** An element with attributes and children; a child that is no element is text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Asks the agent; relative addresses also work behind a proxy with a path of its own. */
async function ask(path, headers = {}, signal = undefined, body = undefined) {
  const authorization = state.token === "" ? {} : { authorization: `Bearer ${state.token}` };
  const response = await fetch(path, {
    headers: { ...authorization, ...headers },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    cache: "no-store",
    signal: signal ?? AbortSignal.timeout(10_000),
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: `status ${response.status}` }));
  throw Object.assign(new Error(error), { status: response.status });
}

function tell(trouble) {
  const notice = find("trouble");
  notice.hidden = trouble === "";
  notice.textContent = trouble;
}

function showConnection(kind, text) {
  const element = find("connection");
  element.dataset.state = kind;
  if (element.textContent === text) return;
  element.textContent = text;
  if (state.events.length === 0) showEvents();
}

// The node

async function refreshStatus() {
  const status = await (await ask("status")).json();
  document.title = `${status.node} · podskoop`;
  find("node").textContent = status.node;
  find("facts").textContent = [
    `podskoop ${status.version}`,
    `Linux ${status.kernel.release}${status.kernel.btf ? "" : " without BTF"}`,
    `up ${wordDuration(Date.now() - Date.parse(status.started))}`,
    `${counted(status.namespaces, "network namespace")}, ${counted(status.pods, "pod")}`,
    `configured by ${status.config.origin}`,
  ].join(" · ");
  tell(status.config.error === undefined ? "" : `The configuration: ${status.config.error}`);
  showUnits(status);
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function wordDuration(milliseconds) {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1_440)} days`;
}

function showUnits(status) {
  const units = new Map();
  for (const [what, list] of Object.entries(status.inuse_probes)) {
    for (const unit of list) {
      const known = units.get(unit.name);
      if (known === undefined) units.set(unit.name, { ...unit, gives: [what] });
      else known.gives.push(what);
    }
  }
  const off = new Set([...status.available_probes.event, ...status.available_probes.metrics]);
  const rows = [...units.values()].map((unit) => ({
    ...unit,
    what: unit.gives.map(wordHalf).join(", "),
  }));
  for (const name of off) {
    if (!units.has(name)) rows.push({ name, state: "Stopped", what: "switched off" });
  }
  for (const unit of status.sources) rows.push({ ...unit, what: "source of names" });
  for (const unit of status.sinks) {
    rows.push({ ...unit, what: `sink, ${unit.delivered} delivered, ${unit.lost} lost` });
  }
  rows.push({ ...status.store, what: `${status.store.events} events kept` });
  for (const { what, disables, remedy } of status.missing) {
    rows.push({
      name: what,
      state: "Missing",
      what: `disables ${disables}`,
      because: remedy,
    });
  }
  const order = ["bad", "warn", "good", "idle"];
  rows.sort((left, right) =>
    order.indexOf(kindOf(left)) - order.indexOf(kindOf(right)) || (left.name < right.name ? -1 : 1)
  );
  const running = rows.filter((unit) => kindOf(unit) === "good").length;
  find("units-count").textContent = `${running} of ${rows.length} running`;
  find("units").replaceChildren(...rows.map(unitRow));
}

function wordHalf(half) {
  return half === "event" ? "events" : half;
}

function kindOf({ state: name }) {
  return STATES[name] ?? "idle";
}

function unitRow(unit) {
  const passed = (unit.passedOver ?? []).map(({ hooks, because }) =>
    `passed over ${hooks}: ${because}`
  );
  const why = [unit.because, ...passed].filter((line) => line !== undefined);
  return make(
    "li",
    {},
    make("span", {
      class: "dot",
      "data-state": kindOf(unit),
      role: "img",
      "aria-label": unit.state,
    }),
    make(
      "div",
      {},
      make("strong", {}, unit.name),
      make("span", { class: "what" }, [unit.state, unit.what].join(" · ")),
      ...why.map((line) => make("span", { class: "why" }, line)),
    ),
  );
}

// Metrics

async function refreshMetrics() {
  const text = await (await ask("metrics?names=podskoop", { accept: "text/plain" })).text();
  const reading = { at: performance.now(), pods: readMetrics(text, WANTED) };
  const before = state.reading;
  state.reading = reading;
  if (before !== undefined) {
    state.rates = ratesOf(before.pods, reading.pods, (reading.at - before.at) / 1000);
    const totals = new Map();
    for (const { figures } of state.rates.values()) {
      for (const [figure, rate] of figures) totals.set(figure, (totals.get(figure) ?? 0) + rate);
    }
    state.history.push({ at: Date.now(), totals });
    if (state.history.length > HISTORY_MAX) state.history.shift();
  }
  showTiles();
  showChart();
  showPods();
}

function showTiles() {
  const totals = state.history.at(-1)?.totals;
  const tiles = FIGURES.map(({ name, title, bytes }) => {
    // Traffic between pods of the node counts at both ends, so the host's own devices tell the node's.
    const value = bytes ? state.rates.get("/")?.figures.get(name) : totals?.get(name);
    const [number, unit] = value === undefined
      ? ["–", ""]
      : bytes
      ? wordBytes(value)
      : [wordNumber(value), "/s"];
    return make(
      "dl",
      { class: "tile" },
      make("dt", {}, bytes ? `${title} by the node` : title),
      make("dd", {}, number, make("small", {}, unit)),
    );
  });
  find("tiles").replaceChildren(...tiles);
}

const CHARTED = FIGURES.filter(({ name }) => name === "drops" || name === "resets");

function showChart() {
  const latest = state.history.at(-1)?.totals;
  find("legend").replaceChildren(
    ...CHARTED.map(({ name, title }) =>
      make(
        "li",
        { class: name },
        make("i"),
        title,
        make("b", {}, latest === undefined ? "–" : wordNumber(latest.get(name) ?? 0)),
      )
    ),
  );
  const box = find("chart");
  const width = Math.max(240, box.clientWidth - 12);
  const height = box.clientHeight - 12;
  const plot = { left: 46, right: width - 12, top: 8, bottom: height - 22 };
  const end = axisEnd(Math.max(
    1,
    ...state.history.flatMap(({ totals }) => CHARTED.map(({ name }) => totals.get(name) ?? 0)),
  ));
  const y = (value) => plot.bottom - (value / end) * (plot.bottom - plot.top);
  // The newest reading is at the right edge, however few there are.
  const x = (index) =>
    plot.right -
    ((state.history.length - 1 - index) / (HISTORY_MAX - 1)) * (plot.right - plot.left);
  const label = CHARTED.map(({ name, title }) =>
    latest === undefined
      ? `${title} not read yet`
      : `${title} ${wordNumber(latest.get(name) ?? 0)} per second`
  );
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label.join(", "),
  });
  for (const share of [0, 0.5, 1]) {
    const at = y(end * share);
    svg.append(
      draw("line", { class: "grid", x1: plot.left, x2: plot.right, y1: at, y2: at }),
      draw("text", { x: plot.left - 8, y: at + 4, "text-anchor": "end" }, axisNumber(end * share)),
    );
  }
  const minutes = HISTORY_MAX * METRICS_SECONDS / 60;
  for (const share of [0, 0.5, 1]) {
    const at = plot.left + share * (plot.right - plot.left);
    const text = share === 1 ? "now" : `${minutes * (1 - share)} min ago`;
    const anchor = ["start", "middle", "end"][share * 2];
    svg.append(draw("text", { x: at, y: height - 4, "text-anchor": anchor }, text));
  }
  for (const { name } of CHARTED) {
    const points = state.history.map(({ totals }, index) => [x(index), y(totals.get(name) ?? 0)]);
    if (points.length === 0) continue;
    const line = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join("L");
    const [first, last] = [points[0][0], points.at(-1)[0]];
    svg.append(
      draw("path", {
        class: `area ${name}`,
        d: `M${first},${plot.bottom}L${line}L${last},${plot.bottom}Z`,
      }),
      draw("path", { class: `line ${name}`, d: `M${line}` }),
      draw("circle", { class: `point ${name}`, cx: last, cy: points.at(-1)[1], r: 3 }),
    );
  }
  pointAt(svg, plot, x, y);
  box.replaceChildren(svg);
}

function axisNumber(value) {
  return value >= 10_000 ? `${value / 1000}k` : String(value);
}

/** Shows the figures below the pointer. */
function pointAt(svg, plot, x, y) {
  const cursor = draw("g", { visibility: "hidden" });
  svg.append(cursor);
  svg.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
  svg.addEventListener("pointermove", (event) => {
    const { length } = state.history;
    if (length === 0) return;
    const step = (plot.right - plot.left) / (HISTORY_MAX - 1);
    const index = Math.round(length - 1 - (plot.right - event.offsetX) / step);
    const reading = state.history[Math.min(length - 1, Math.max(0, index))];
    const at = x(state.history.indexOf(reading));
    const words = CHARTED.map(({ name, title }) =>
      `${title} ${wordNumber(reading.totals.get(name) ?? 0)}/s`
    );
    const left = at > (plot.left + plot.right) / 2;
    cursor.replaceChildren(
      draw("line", { class: "cursor", x1: at, x2: at, y1: plot.top, y2: plot.bottom }),
      ...CHARTED.map(({ name }) =>
        draw("circle", {
          class: `point ${name}`,
          cx: at,
          cy: y(reading.totals.get(name) ?? 0),
          r: 3.5,
        })
      ),
      draw(
        "text",
        { x: left ? at - 8 : at + 8, y: plot.top + 10, "text-anchor": left ? "end" : "start" },
        [new Date(reading.at).toLocaleTimeString(), ...words].join("   "),
      ),
    );
    cursor.setAttribute("visibility", "visible");
  });
}

// Pods

async function refreshPods() {
  if (state.refused) return;
  const { pods } = await (await ask("pods")).json();
  state.pods = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
}

function podRows() {
  const search = find("pods-search").value.trim().toLowerCase();
  const rows = [];
  for (const key of new Set([...state.reading?.pods.keys() ?? [], ...state.pods.keys()])) {
    const pod = state.pods.get(key);
    const [namespace, name] = [key.slice(0, key.indexOf("/")), key.slice(key.indexOf("/") + 1)];
    const title = name === "" ? (namespace === "" ? "host" : namespace) : name;
    const words = [namespace, title, ...pod?.addresses ?? []].join(" ").toLowerCase();
    if (!words.includes(search)) continue;
    rows.push({
      key,
      namespace,
      name,
      title,
      pod,
      figures: state.rates.get(key)?.figures ?? new Map(),
    });
  }
  const { by, descending } = state.sort;
  const sign = descending ? -1 : 1;
  return rows.sort((left, right) => {
    const difference = by === "name"
      ? left.key.localeCompare(right.key)
      : (left.figures.get(by) ?? -1) - (right.figures.get(by) ?? -1);
    return sign * difference || left.key.localeCompare(right.key);
  });
}

function showPods() {
  const rows = podRows();
  find("pods-count").textContent = rows.length > PODS_MAX
    ? `${PODS_MAX} of ${rows.length}`
    : String(rows.length);
  const body = find("pods-body");
  const focused = document.activeElement?.dataset?.key;
  body.replaceChildren(...rows.slice(0, PODS_MAX).map(podRow));
  if (rows.length === 0) {
    body.append(
      make("tr", {}, make("td", { colspan: FIGURES.length + 1, class: "empty" }, "No pod matches")),
    );
  }
  // A row that had the keyboard's focus keeps it.
  if (focused !== undefined) {
    [...body.querySelectorAll("button")].find(({ dataset }) => dataset.key === focused)?.focus();
  }
}

/** Characters at the end of a pod's name that are always shown. */
const TAIL = 6;

function podRow({ key, namespace, name, title, pod, figures }) {
  const more = [...pod?.addresses ?? [], pod?.runtime, pod?.goneAt && `gone since ${pod.goneAt}`];
  const button = make(
    "button",
    {
      type: "button",
      class: "pod",
      "data-key": key,
      title: [key, ...more.filter((part) => part)].join("\n"),
      onclick: () => {
        find("events-pod").value = title;
        showEvents();
        find("events").scrollIntoView({ block: "nearest" });
      },
    },
    ...name === "" || namespace === ""
      ? []
      : [make("span", { class: "namespace" }, `${namespace}/`)],
    // Where there is too little room the end stays, as it tells one replica from the other.
    make("span", { class: "start" }, title.slice(0, -TAIL)),
    make("span", {}, title.slice(-TAIL)),
  );
  return make(
    "tr",
    {},
    make("td", {}, button),
    ...FIGURES.map(({ name: figure, bytes }) => {
      const value = figures.get(figure);
      const text = value === undefined
        ? "–"
        : bytes
        ? wordBytes(value).join(" ")
        : wordNumber(value);
      return make(
        "td",
        { class: value === undefined || value === 0 ? `${figure} zero` : figure },
        text,
      );
    }),
  );
}

function showPodsHead() {
  const columns = [
    { name: "name", title: "Pod" },
    ...FIGURES.map(({ name, title, short, bytes }) => ({
      name,
      title: bytes ? title : `${short ?? title}/s`,
    })),
  ];
  find("pods-head").replaceChildren(...columns.map(({ name, title }) => {
    const sorted = state.sort.by === name;
    const order = sorted ? (state.sort.descending ? "descending" : "ascending") : undefined;
    return make(
      "th",
      { scope: "col", "aria-sort": order },
      make("button", {
        type: "button",
        onclick: () => {
          state.sort = { by: name, descending: sorted ? !state.sort.descending : name !== "name" };
          showPodsHead();
          showPods();
          find("pods-head").querySelector("[aria-sort] button")?.focus();
        },
      }, title),
    );
  }));
}

// Events

/** Reads the stream for as long as there is one; resumes where it broke off. */
async function followEvents() {
  let wait = 1;
  for (;;) {
    const abort = new AbortController();
    state.stream = abort;
    try {
      const resume = state.lastId === "" ? {} : { "last-event-id": state.lastId };
      const response = await ask("events/stream?since=1h", resume, abort.signal);
      showConnection("good", "live");
      askForToken("");
      wait = 1;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const messages = new MessageReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        takeMessages(messages.read(value));
      }
      showConnection("wait", "reconnecting");
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        showConnection("bad", "no rights to see events");
        askForToken(error.message);
        await new Promise((resolve) => wakeFollower = resolve);
        wait = 1;
        continue;
      }
      if (!abort.signal.aborted) showConnection("bad", `no connection: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    wait = Math.min(RETRY_SECONDS_MAX, wait * 2);
  }
}

let wakeFollower = () => {};

function takeMessages(messages) {
  for (const { type, id, data } of messages) {
    if (type === "lost") {
      state.events.unshift({ lost: JSON.parse(data).because });
      continue;
    }
    const event = JSON.parse(data);
    if (id !== "") state.lastId = id;
    if (!state.types.has(event.type)) {
      state.types.add(event.type);
      showTypes();
    }
    state.events.unshift({ event, words: data.toLowerCase() });
  }
  if (messages.length === 0) return;
  state.events.length = Math.min(state.events.length, EVENTS_MAX);
  if (!state.paused) showSoon();
}

let drawing = false;

/** A flood of events is drawn once a frame. */
function showSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    showEvents(true);
  });
}

function showTypes() {
  const select = find("events-type");
  const chosen = select.value;
  select.replaceChildren(
    make("option", { value: "" }, "All types"),
    ...[...state.types].sort().map((type) => make("option", { value: type }, type)),
  );
  select.value = chosen;
}

const shown = new WeakMap();

function showEvents(fresh = false) {
  const [type, pod, text] = ["events-type", "events-pod", "events-text"].map((id) =>
    find(id).value.trim()
  );
  const wanted = state.events.filter(({ event, words }) =>
    event === undefined || (
      (type === "" || event.type === type) &&
      (pod === "" || whoOf(event).toLowerCase().includes(pod.toLowerCase())) &&
      (text === "" || words.includes(text.toLowerCase()))
    )
  );
  const filtered = type !== "" || pod !== "" || text !== "";
  const events = wanted.filter(({ event }) => event !== undefined).length;
  find("events-count").textContent = filtered ? `${events} match` : `${events}`;
  const rows = wanted.map((entry) => {
    let row = shown.get(entry);
    if (row === undefined) shown.set(entry, row = eventRow(entry, fresh));
    return row;
  });
  const list = find("events-list");
  // Rows are kept, so that focus and scrolling stay where they are.
  const stays = new Set(rows);
  for (const row of [...list.children]) if (!stays.has(row)) row.remove();
  for (const [index, row] of rows.entries()) {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  }
  if (rows.length === 0) {
    list.append(
      make(
        "li",
        { class: "empty" },
        filtered ? "No event matches" : emptyWords(),
      ),
    );
  }
}

/** Who cannot see events must not read that there are none. */
function emptyWords() {
  const { dataset, textContent } = find("connection");
  return dataset.state === "good"
    ? "No packet dropped, no connection reset"
    : `No events to show: ${textContent}`;
}

function whoOf({ pod, network }) {
  if (pod === undefined) return `netns ${network.netns}`;
  if (pod.namespace === "" && pod.name === "") return pod.kind;
  return [pod.namespace, pod.name].filter((part) => part !== "").join("/");
}

function wordEnd(end) {
  if (end === undefined) return "?";
  const name = end.pod ?? end.service;
  const address = name === undefined ? end.address : `${name.namespace}/${name.name}`;
  const bare = name === undefined && end.address.includes(":") && end.port !== undefined;
  return `${bare ? `[${address}]` : address}${end.port === undefined ? "" : `:${end.port}`}`;
}

function eventRow({ event, lost }, fresh) {
  if (event === undefined) {
    return make(
      "li",
      {},
      make("div", { class: "event lost" }, make("span", { class: "what" }, lost)),
    );
  }
  const kind = { info: "idle", warning: "warn", error: "bad" }[event.severity];
  const time = new Date(event.time);
  const clock = `${time.toLocaleTimeString([], { hour12: false })}.${
    String(time.getMilliseconds()).padStart(3, "0")
  }`;
  const ends = event.source === undefined && event.destination === undefined
    ? []
    : [make("span", { class: "ends" }, `${wordEnd(event.source)} → ${wordEnd(event.destination)}`)];
  return make(
    "li",
    {},
    make(
      "button",
      { type: "button", class: fresh ? "event fresh" : "event", onclick: () => showDetail(event) },
      make("time", { datetime: event.time, title: event.time }, clock),
      make(
        "span",
        { class: "type" },
        make("span", {
          class: "dot",
          "data-state": kind,
          role: "img",
          "aria-label": event.severity,
        }),
        event.type,
      ),
      make("span", { class: "who" }, whoOf(event)),
      make("span", { class: "times" }, event.count > 1 ? `× ${event.count}` : ""),
      make("span", { class: "what" }, ...ends, event.message),
    ),
  );
}

function showDetail(event) {
  find("detail-title").textContent = `${event.type} ${whoOf(event)}`;
  find("detail-message").textContent = event.message;
  find("detail-json").textContent = JSON.stringify(event, null, 2);
  find("detail").showModal();
}

// Diagnosis

/** Asks where a packet goes on this node, and shows the answer as a terminal has it. */
async function diagnose() {
  const [answer, go] = [find("diagnose-answer"), find("diagnose-go")];
  const protocol = find("diagnose-protocol").value;
  const port = Number(find("diagnose-port").value);
  const question = {
    source: find("diagnose-from").value.trim(),
    destination: find("diagnose-to").value.trim(),
    protocol,
    ...(port > 0 && protocol !== "icmp" ? { port } : {}),
  };
  answer.hidden = false;
  answer.textContent = "Taking a snapshot of the node, and walking …";
  go.disabled = true;
  try {
    const signal = AbortSignal.timeout(DIAGNOSIS_SECONDS_MAX * 1000);
    const response = await ask("diagnoses?format=text", {}, signal, question);
    answer.textContent = (await response.text()).trimEnd();
  } catch (error) {
    answer.textContent = error.message;
  } finally {
    go.disabled = false;
  }
}

// Rights

function askForToken(why) {
  state.refused = why !== "";
  find("token-form").hidden = !state.refused;
  find("events-list").hidden = state.refused;
  find("token-why").textContent = why;
  find("forget").hidden = state.token === "";
}

function takeToken(token) {
  state.token = token;
  state.refused = false;
  if (token === "") sessionStorage.removeItem("podskoop-token");
  else sessionStorage.setItem("podskoop-token", token);
  find("token").value = "";
  find("forget").hidden = token === "";
  state.stream?.abort();
  wakeFollower();
  void refreshPods().then(showPods, () => {});
}

// Everything together

/** Does something again and again while the page can be seen; a failure is shown, and does not end it. */
function repeat(seconds, refresh, failed) {
  const tick = async () => {
    if (!document.hidden) await refresh().catch(failed);
    setTimeout(tick, seconds * 1000);
  };
  void tick();
}

showPodsHead();
showTypes();
showTiles();
showChart();
showEvents();
for (const id of ["events-type", "events-pod", "events-text"]) {
  find(id).addEventListener("input", () => showEvents());
}
find("pods-search").addEventListener("input", showPods);
find("pause").addEventListener("click", ({ currentTarget }) => {
  state.paused = !state.paused;
  currentTarget.setAttribute("aria-pressed", String(state.paused));
  currentTarget.textContent = state.paused ? "Go on" : "Pause";
  if (!state.paused) showEvents();
});
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  takeToken(find("token").value.trim());
});
find("diagnose").addEventListener("submit", (event) => {
  event.preventDefault();
  void diagnose();
});
find("forget").addEventListener("click", () => takeToken(""));
new ResizeObserver(showChart).observe(find("chart"));
repeat(STATUS_SECONDS, refreshStatus, (error) => tell(`Cannot read the status: ${error.message}`));
repeat(
  METRICS_SECONDS,
  refreshMetrics,
  (error) => tell(`Cannot read the metrics: ${error.message}`),
);
// Without rights the table has the names that the metrics have.
repeat(STATUS_SECONDS, refreshPods, () => {});
void followEvents();
