// The pages of the console. Each is a function that gives nodes; the address after `#`
// chooses one, and an event of the cloud draws it again.

import { clockTime, colour, lineChart, short } from "./chart.js";

const page = document.getElementById("page");
const live = document.getElementById("live");

// --- Small tools -----------------------------------------------------------

// Makes an element. Text never becomes markup.
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

async function get(path) {
  const response = await fetch(`api/${path}`);
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? response.statusText);
  return body;
}

const KINDS = {
  SUCCEEDED: "good", COMPLETED: "good", CREATE_COMPLETE: "good", UPDATE_COMPLETE: "good", connected: "good",
  FAILED: "bad", REJECTED: "bad", TIMED_OUT: "bad", disconnected: "bad",
  IN_PROGRESS: "busy", SCHEDULED: "busy", QUEUED: "idle", CANCELED: "idle", REMOVED: "idle",
};
const kind = (status) => KINDS[status] ?? (/ROLLBACK|FAILED/.test(status) ? "bad" : "idle");
const words = (status) => (status ?? "").toLowerCase().replaceAll("_", " ");
const state = (status) => h("span", { class: `state ${kind(status)}` }, words(status));
const when = (seconds) => (seconds ? moments(seconds * 1000) : "");
// The day is said only where it is not today.
function moments(at) {
  const today = new Date(at).toDateString() === new Date().toDateString();
  return h("time", { datetime: new Date(at).toISOString() }, today ? clockTime(at) : new Date(at).toLocaleString());
}
const link = (path, text) => h("a", { href: `#/${path}` }, text);

function table(headings, rows, empty) {
  if (rows.length === 0) return h("p", { class: "quiet" }, empty);
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell ?? "")))))));
}

// --- Pages -----------------------------------------------------------------

async function overview() {
  const [cloud, { jobs }] = await Promise.all([get("overview"), get("jobs")]);
  const number = (label, value) => h("div", { class: "card" }, h("div", { class: "number" }, String(value)), h("div", { class: "quiet" }, label));
  const running = jobs.filter((job) => job.status === "IN_PROGRESS");
  return [
    h("h1", {}, "Overview"),
    h("div", { class: "grid" },
      cloud.groups.map((group) => number(`things in ${group.name}`, group.things)),
      number("jobs in progress", running.length),
      number("stacks", cloud.stacks.length)),
    h("h2", {}, "Rollouts"),
    running.length ? running.map(rollout) : h("p", { class: "quiet" }, "No job is in progress."),
    h("h2", {}, "Stacks"),
    table(["stack", "status", "description"], cloud.stacks.map((stack) => [stack.name, state(stack.status), stack.description]), "No stack yet."),
    h("h2", {}, "Connect"),
    h("pre", {}, `AWS_ENDPOINT_URL=${cloud.endpoint}\nAWS_REGION=${cloud.region}\nmqtt ${cloud.mqtt}\naccount ${cloud.account}`),
  ];
}

async function fleet(query) {
  const input = h("input", { name: "query", value: query ?? "", placeholder: "Search, as in thingName:pump* or connectivity.connected:true", "aria-label": "Search things" });
  const form = h("form", { role: "search", onsubmit: (event) => { event.preventDefault(); go(`fleet?${encodeURIComponent(input.value)}`); } }, input, h("button", {}, "Search"));
  const things = [];
  let token = null;
  try {
    // As many parts of the list as were asked for, also when it is drawn again.
    for (let part = 0; part < parts && (part === 0 || token); part++) {
      const from = token ? `&token=${encodeURIComponent(token)}` : "";
      const found = await get(`things?query=${encodeURIComponent(query ?? "")}${from}`);
      things.push(...found.things);
      token = found.next;
    }
  } catch (error) {
    if (error instanceof TypeError) throw error;
    return [h("h1", {}, "Fleet"), form, h("p", { class: "bad", role: "alert" }, error.message), query ? link("fleet", "Show all things") : null];
  }
  const versions = new Map();
  for (const { version } of things) versions.set(version ?? "no version", (versions.get(version ?? "no version") ?? 0) + 1);
  const rows = things.map((thing) => [
    link(`fleet/${encodeURIComponent(thing.name)}`, thing.name),
    thing.version ?? h("span", { class: "quiet" }, "none reported"),
    thing.connected === null ? h("span", { class: "quiet" }, "never connected") : state(thing.connected ? "connected" : "disconnected"),
    thing.since ? moments(thing.since) : "",
  ]);
  return [
    h("h1", {}, "Fleet"), form,
    things.length ? h("p", { class: "legend quiet" }, h("span", {}, `${token ? "the first " : ""}${things.length} things`), [...versions].map(([version, count]) => h("span", {}, `${version}: ${count}`))) : null,
    table(["thing", "firmware", "connection", "since"], rows, query ? "No thing matches." : "No things yet."),
    token ? h("button", { onclick: () => { parts += 1; draw(); } }, "Show more") : null,
  ];
}

async function device(name) {
  const thing = await get(`things/${encodeURIComponent(name)}`);
  return [
    h("h1", {}, thing.name, " ", thing.connected === null ? null : state(thing.connected ? "connected" : "disconnected")),
    h("div", { class: "grid" },
      h("div", { class: "card" }, h("div", { class: "number" }, thing.version ?? "none"), h("div", { class: "quiet" }, "firmware")),
      h("div", { class: "card" }, h("div", {}, thing.groups.join(", ") || "no group"), h("div", { class: "quiet" }, "groups")),
      h("div", { class: "card" }, h("div", {}, thing.type ?? "no type"), h("div", { class: "quiet" }, `${thing.certificates} certificate${thing.certificates === 1 ? "" : "s"}`))),
    h("h2", {}, "Jobs"),
    table(["job", "status", "queued", "started", "attempt"], thing.executions.map(({ jobId, jobExecutionSummary: one }) => [
      link(`jobs/${encodeURIComponent(jobId)}`, jobId), state(one.status), when(one.queuedAt), when(one.startedAt), one.executionNumber,
    ]), "No jobs."),
    h("h2", {}, "Timeline"),
    thing.timeline.length === 0 ? h("p", { class: "quiet" }, "Nothing since the cloud started.") :
      h("ol", { class: "timeline" }, thing.timeline.map((event) => h("li", { class: kind(event.kind === "execution" ? event.detail : event.kind) },
        h("time", {}, clockTime(event.at)),
        story(event)))),
    h("h2", {}, "Shadow"),
    thing.shadow ? h("pre", { tabindex: 0, "aria-label": "Shadow" }, JSON.stringify({ ...thing.shadow, metadata: undefined }, null, 2)) : h("p", { class: "quiet" }, "No shadow."),
  ];
}

// An event in words.
function story(event) {
  if (event.kind === "execution") return [link(`jobs/${encodeURIComponent(event.job)}`, event.job), ` ${words(event.detail)}`];
  if (event.kind === "shadow") return event.detail === "shadow" ? "shadow changed" : `shadow ${event.detail} changed`;
  return event.kind === "registry" ? event.detail : [event.kind, words(event.detail)].filter(Boolean).join(": ");
}

// The counts of a job as a bar, and how near it is to being aborted.
function rollout(job) {
  const details = job.jobProcessDetails ?? {};
  const count = (name) => details[`numberOf${name}Things`] ?? 0;
  const parts = [
    ["succeeded", "good", count("Succeeded")],
    ["failed", "bad", count("Failed") + count("Rejected") + count("TimedOut")],
    ["in progress", "busy", count("InProgress")],
    ["queued", "idle", count("Queued")],
    ["canceled or removed", "idle", count("Canceled") + count("Removed")],
  ];
  const total = parts.reduce((sum, [, , value]) => sum + value, 0);
  const running = job.status === "IN_PROGRESS";
  const ended = parts[0][2] + parts[1][2] + parts[4][2];
  const margins = (running ? job.abortConfig?.criteriaList ?? [] : []).map((rule) => {
    const bad = rule.failureType === "ALL" ? parts[1][2] : count({ FAILED: "Failed", REJECTED: "Rejected", TIMED_OUT: "TimedOut" }[rule.failureType]);
    const rate = ended ? (100 * bad) / ended : 0;
    const what = rule.failureType === "ALL" ? "failed, rejected or timed out" : words(rule.failureType);
    return `canceled if ${rule.thresholdPercentage} % ${what} once ${rule.minNumberOfExecutedThings} ended; now ${rate.toFixed(1)} % of ${ended}, ${margin(rule, bad, ended)}`;
  });
  const { maximumPerMinute: most, exponentialRate: grows } = job.jobExecutionsRolloutConfig ?? {};
  const told = job.toldWithinAMinute ?? 0;
  const pace = [
    running && `${told} thing${told === 1 ? "" : "s"} told in the last minute`,
    most && `at most ${most} things a minute`,
    grows && `beginning with ${grows.baseRatePerMinute}`,
  ].filter(Boolean).join(", ");
  return h("div", { class: "card" },
    h("div", {}, link(`jobs/${encodeURIComponent(job.jobId)}`, job.jobId), " ", state(job.status)),
    h("div", { class: "bar", role: "img", "aria-label": parts.map(([label, , value]) => `${value} ${label}`).join(", ") },
      parts.filter(([, , value]) => value > 0).map(([, colours, value]) => h("i", { class: colours, style: `flex-grow:${value}` }))),
    h("div", { class: "legend" }, total ? parts.filter(([, , value]) => value > 0).map(([label, colours, value]) => h("span", { class: colours }, `${value} ${label}`)) : h("span", { class: "quiet" }, "no executions yet")),
    pace ? h("div", { class: "quiet" }, pace) : null,
    margins.map((margin) => h("div", { class: "quiet" }, margin)));
}

// How far a job is from being aborted: how many things would have to fail next, one after
// the other.
function margin({ thresholdPercentage: percent, minNumberOfExecutedThings: least }, bad, ended) {
  const share = percent / 100;
  if (share >= 1 && bad < ended) return "which cannot become true";
  // A tiny bit less, so that binary fractions do not make one failure more of it.
  const rise = share < 1 ? Math.ceil((share * ended - bad) / (1 - share) - 1e-9) : 0;
  const more = Math.max(rise, least - ended, bad ? 0 : 1);
  return more > 0 ? `${more} more would be enough` : "which is enough";
}

async function jobs() {
  const found = await get("jobs");
  return [h("h1", {}, "Jobs"), found.jobs.length ? h("div", { class: "grid", style: "grid-template-columns:1fr" }, found.jobs.map(rollout)) : h("p", { class: "quiet" }, "No jobs yet.")];
}

async function job(id) {
  const found = await get(`jobs/${encodeURIComponent(id)}`);
  return [
    h("h1", {}, found.jobId),
    rollout(found),
    h("p", { class: "quiet" }, [found.description, ["created ", when(found.createdAt)], found.completedAt && ["ended ", when(found.completedAt)], found.comment]
      .filter(Boolean).flatMap((part, index) => [index ? " · " : null, part].flat())),
    h("h2", {}, "Executions"),
    table(["thing", "status", "queued", "started", "updated", "attempt"], found.executions.map(({ thingArn, jobExecutionSummary: one }) => {
      const thing = thingArn.split("/").at(-1);
      return [link(`fleet/${encodeURIComponent(thing)}`, thing), state(one.status), when(one.queuedAt), when(one.startedAt), when(one.lastUpdatedAt), one.executionNumber];
    }), "No executions yet."),
  ];
}

const RANGES = { 15: "15 minutes", 60: "1 hour", 180: "3 hours", 1440: "1 day", 10080: "1 week" };

async function dashboards(name, range) {
  const { dashboards: names } = await get("dashboards");
  if (names.length === 0) return [h("h1", {}, "Dashboards"), h("p", { class: "quiet" }, "No stack has a dashboard.")];
  const chosen = name || names[0];
  const minutes = Object.hasOwn(RANGES, range) ? Number(range) : 15;
  const found = await get(`dashboards/${encodeURIComponent(chosen)}?minutes=${minutes}`);
  const choice = (label, options, now, address) => h("select", { "aria-label": label, onchange: (event) => go(address(event.target.value)) },
    options.map(([value, text]) => h("option", { value, selected: String(value) === String(now) ? "" : null }, text)));
  const widget = (one) => {
    const columns = Math.min(24, one.width ?? 12);
    const box = h("section", { class: "card", style: `grid-column: span ${columns}` });
    const title = one.properties?.title;
    if (title) box.append(h("h2", {}, title));
    if (one.type === "text") box.append(...markdown(one.properties?.markdown ?? ""));
    else if (one.type === "alarm") box.append(alarms(one.states ?? []));
    else if (one.type === "metric") {
      const lines = (one.series ?? []).map((line) => ({ label: line.label, points: (line.times ?? []).map((at, place) => [moment(at), line.values[place]]) }));
      if (one.properties?.view === "singleValue") {
        box.append(h("dl", { class: "values" }, lines.map((line) => h("div", {}, h("dt", {}, line.label), h("dd", {}, line.points.length ? short(line.points.at(-1)[1]) : "–")))));
      } else {
        const narrow = matchMedia("(max-width: 800px)").matches;
        const wide = narrow ? page.clientWidth - 64 : (Math.min(1132, page.clientWidth - 48) * columns) / 24 - 40;
        // A long period may begin before what is shown.
        for (const line of lines) line.points = line.points.map(([at, value]) => [Math.max(at, found.now - minutes * 60_000), value]);
        box.append(lineChart(lines, found.now - minutes * 60_000, found.now, wide),
          h("div", { class: "legend" }, lines.map((line, index) => h("span", {}, h("i", { class: "swatch", style: `background:${colour(lines, index)}` }), line.label))));
      }
    } else box.append(h("p", { class: "quiet" }, `Widgets of type ${one.type} are not drawn here.`));
    return box;
  };
  return [
    h("h1", {}, "Dashboards"),
    h("form", {},
      choice("Dashboard", names.map((one) => [one, one]), chosen, (value) => `dashboards/${encodeURIComponent(value)}?${minutes}`),
      choice("Time range", Object.entries(RANGES), minutes, (value) => `dashboards/${encodeURIComponent(chosen)}?${value}`)),
    h("div", { class: "widgets" }, found.widgets.map(widget)),
  ];
}

// Headings and paragraphs are enough for what dashboards say.
const markdown = (text) => text.split("\n").filter((line) => line.trim()).map((line) => {
  const heading = /^#+\s+(.*)/.exec(line);
  return heading ? h("h2", {}, heading[1]) : h("p", {}, line);
});

const alarms = (states) => h("ul", { class: "legend plain" }, states.map(({ name, state: value }) =>
  h("li", {}, name, " ", h("span", { class: `state ${{ OK: "good", ALARM: "bad" }[value] ?? "idle"}` }, words(value)))));

const moment = (at) => (typeof at === "number" ? at * 1000 : Date.parse(at));

async function logs(group, query) {
  const { groups } = await get("logs");
  if (!group) return [h("h1", {}, "Logs"), table(["log group"], groups.map((name) => [link(`logs/${encodeURIComponent(name)}`, name)]), "Nothing was logged yet.")];
  const { events } = await get(`log?group=${encodeURIComponent(group)}&query=${encodeURIComponent(query ?? "")}`);
  const input = h("input", { value: query ?? "", placeholder: "Filter, as in ERROR or { $.level = \"ERROR\" }", "aria-label": "Filter lines" });
  return [
    h("p", {}, link("logs", "All log groups")),
    h("h1", {}, group),
    h("form", { role: "search", onsubmit: (event) => { event.preventDefault(); go(`logs/${encodeURIComponent(group)}?${encodeURIComponent(input.value)}`); } }, input, h("button", {}, "Filter")),
    events.length ? h("pre", { class: "lines", tabindex: 0, "aria-label": "Lines" }, events.map((event) => `${clockTime(event.timestamp)}  ${event.message.trimEnd()}`).join("\n")) : h("p", { class: "quiet" }, "No lines."),
  ];
}

// --- Which page, and when it is drawn ------------------------------------------

// A part of an address as it was meant; one that was typed may have a `%` of its own.
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function draw() {
  const [path, ...query] = location.hash.replace(/^#\/?/, "").split("?");
  const [section, name] = path.split("/").map(plain);
  const wanted = query.length ? plain(query.join("?")) : undefined;
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.getAttribute("href") === `#/${section}`) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  const pages = {
    "": () => overview(),
    fleet: () => (name ? device(name) : fleet(wanted)),
    jobs: () => (name ? job(name) : jobs()),
    dashboards: () => dashboards(name, wanted),
    logs: () => logs(name, wanted),
  };
  const here = location.hash;
  const turn = ++turns;
  // Whoever began later knows better.
  const isLate = () => turn !== turns || here !== location.hash;
  try {
    const nodes = (await (Object.hasOwn(pages, section) ? pages[section] : overview)()).flat().filter(Boolean);
    if (!isLate()) show(nodes, wanted);
  } catch (error) {
    // While the cloud does not answer, what it said last stays, and the corner tells.
    if (isLate() || (error instanceof TypeError && page.querySelector("h1"))) return;
    page.replaceChildren(h("h1", {}, "That did not work"), h("p", { class: "bad", role: "alert" }, error.message), link("", "Back to the overview"));
  }
  const heading = page.querySelector("h1");
  if (heading) document.title = `${heading.textContent.trim()} · iotstack local cloud`;
}

// Puts nodes on the page, without taking anything from somebody who types, chooses,
// marks text, scrolled inside a box, or went to a link with the keyboard.
function show(nodes, wanted) {
  const focused = page.contains(document.activeElement) ? document.activeElement : null;
  if (focused?.tagName === "SELECT" || (focused?.tagName === "INPUT" && focused.value !== (wanted ?? ""))) return;
  const fresh = h("div", {}, nodes);
  if (fresh.innerHTML === page.innerHTML) return;
  const marked = getSelection();
  if (!marked.isCollapsed && page.contains(marked.anchorNode)) return;
  const boxes = () => [...page.querySelectorAll("pre, .scroll")];
  const focusable = () => [...page.querySelectorAll("a, button, input, select, pre")];
  const scrolled = boxes().map((box) => [box.scrollLeft, box.scrollTop]);
  const at = focusable().indexOf(focused);
  const same = (node) => node.tagName === focused.tagName && (node.href ?? node.name) === (focused.href ?? focused.name);
  page.replaceChildren(...nodes);
  boxes().forEach((box, index) => { [box.scrollLeft, box.scrollTop] = scrolled[index] ?? [0, 0]; });
  if (at >= 0) (focusable().find(same) ?? focusable()[at])?.focus({ preventScroll: true });
}

function go(path) {
  document.activeElement?.blur();
  if (location.hash === `#/${path}`) draw();
  else location.hash = `#/${path}`;
}

let parts = 1;
let turns = 0;
let waiting = false;
let drawing = false;

// Draws once for all that happens in a moment, and again for what happens while it draws.
function soon() {
  if (waiting || document.hidden) return;
  waiting = true;
  setTimeout(redraw, 400);
}

async function redraw() {
  if (drawing) {
    setTimeout(redraw, 400);
    return;
  }
  waiting = false;
  drawing = true;
  try {
    await draw();
  } finally {
    drawing = false;
  }
}

const events = new EventSource("events");
events.onopen = () => { live.textContent = "live"; live.className = "on"; soon(); };
events.onerror = () => { live.textContent = "reconnecting"; live.className = ""; };
events.onmessage = soon;
addEventListener("hashchange", async () => {
  parts = 1;
  await draw();
  page.focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("resize", soon);
document.addEventListener("visibilitychange", soon);
setInterval(soon, 5000);
draw();
