// The pages of the console. Each is a function that gives nodes; the address after `#`
// chooses one, and an event of the cloud draws it again.

import { clockTime, colour, lineChart } from "./chart.js";

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
const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString() : "");
const link = (path, text) => h("a", { href: `#/${path}` }, text);

function table(headings, rows, empty) {
  if (rows.length === 0) return h("p", { class: "quiet" }, empty);
  return h("table", {},
    h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell ?? ""))))));
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
  const found = await get(`things?query=${encodeURIComponent(query ?? "")}`);
  const input = h("input", { name: "query", value: query ?? "", placeholder: "Search, as in connectivity.connected:true or thingName:pump*", "aria-label": "Search things" });
  const versions = {};
  for (const thing of found.things) versions[thing.version ?? "none"] = (versions[thing.version ?? "none"] ?? 0) + 1;
  const rows = (things) => things.map((thing) => [
    link(`fleet/${encodeURIComponent(thing.name)}`, thing.name),
    thing.version ?? h("span", { class: "quiet" }, "none reported"),
    thing.connected === null ? h("span", { class: "quiet" }, "never connected") : state(thing.connected ? "connected" : "disconnected"),
    thing.since ? new Date(thing.since).toLocaleString() : "",
  ]);
  const list = table(["thing", "firmware", "connection", "since"], rows(found.things), "No things.");
  const more = found.next && h("button", {
    onclick: async (event) => {
      const next = await get(`things?token=${encodeURIComponent(found.next)}&query=${encodeURIComponent(query ?? "")}`);
      list.querySelector("tbody").append(...rows(next.things).map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell ?? "")))));
      found.next = next.next;
      if (!next.next) event.target.remove();
    },
  }, "More");
  return [
    h("h1", {}, "Fleet"),
    h("form", { onsubmit: (event) => { event.preventDefault(); location.hash = `#/fleet?${encodeURIComponent(input.value)}`; } }, input, h("button", {}, "Search")),
    h("p", { class: "legend quiet" }, Object.entries(versions).map(([version, count]) => h("span", {}, `${version}: ${count}`))),
    list, more || null,
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
        [event.kind, event.job, words(event.detail)].filter(Boolean).join(" · ")))),
    h("h2", {}, "Shadow"),
    thing.shadow ? h("pre", {}, JSON.stringify(thing.shadow, null, 2)) : h("p", { class: "quiet" }, "No shadow."),
  ];
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
  const ended = parts[0][2] + parts[1][2] + parts[4][2];
  const margins = (job.abortConfig?.criteriaList ?? []).map((rule) => {
    const bad = rule.failureType === "ALL" ? parts[1][2] : count({ FAILED: "Failed", REJECTED: "Rejected", TIMED_OUT: "TimedOut" }[rule.failureType]);
    const rate = ended ? (100 * bad) / ended : 0;
    return `aborts at ${rule.thresholdPercentage} % ${words(rule.failureType)} of ${rule.minNumberOfExecutedThings} or more; now ${rate.toFixed(1)} % of ${ended}`;
  });
  const rate = job.jobExecutionsRolloutConfig?.maximumPerMinute;
  return h("div", { class: "card" },
    h("div", {}, link(`jobs/${encodeURIComponent(job.jobId)}`, job.jobId), " ", state(job.status)),
    h("div", { class: "bar", role: "img", "aria-label": parts.map(([label, , value]) => `${value} ${label}`).join(", ") },
      parts.filter(([, , value]) => value > 0).map(([, colours, value]) => h("i", { class: colours, style: `flex-grow:${value}` }))),
    h("div", { class: "legend" }, parts.filter(([, , value]) => value > 0).map(([label, colours, value]) => h("span", { class: colours }, `${value} ${label}`))),
    rate ? h("div", { class: "quiet" }, `at most ${rate} things a minute`) : null,
    margins.map((margin) => h("div", { class: "quiet" }, margin)));
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
    h("p", { class: "quiet" }, [found.description, `created ${when(found.createdAt)}`, found.completedAt && `ended ${when(found.completedAt)}`, found.comment].filter(Boolean).join(" · ")),
    h("h2", {}, "Executions"),
    table(["thing", "status", "queued", "started", "updated", "attempt"], found.executions.map(({ thingArn, jobExecutionSummary: one }) => {
      const thing = thingArn.split("/").at(-1);
      return [link(`fleet/${encodeURIComponent(thing)}`, thing), state(one.status), when(one.queuedAt), when(one.startedAt), when(one.lastUpdatedAt), one.executionNumber];
    }), "No executions yet."),
  ];
}

async function dashboards(name) {
  const { dashboards: names } = await get("dashboards");
  if (names.length === 0) return [h("h1", {}, "Dashboards"), h("p", { class: "quiet" }, "No stack has a dashboard.")];
  const chosen = name || names[0];
  const found = await get(`dashboards/${encodeURIComponent(chosen)}`);
  const choice = h("select", { "aria-label": "Dashboard", onchange: (event) => { location.hash = `#/dashboards/${encodeURIComponent(event.target.value)}`; } },
    names.map((one) => h("option", one === chosen ? { selected: "" } : {}, one)));
  const widget = (one) => {
    const box = h("div", { class: "card", style: `grid-column: span ${Math.min(24, one.width ?? 12)}` });
    if (one.type !== "metric") {
      box.append(h("p", { style: "white-space: pre-wrap" }, one.properties?.markdown ?? one.properties?.title ?? one.type));
      return box;
    }
    const lines = (one.series ?? []).map((line) => ({ label: line.label, points: (line.times ?? []).map((at, place) => [moment(at), line.values[place]]) }));
    box.append(h("strong", {}, one.properties?.title ?? ""), lineChart(lines, found.now - 180 * 60_000, found.now),
      h("div", { class: "legend" }, lines.map((line, index) => h("span", { style: `color:${colour(index)}` }, line.label))));
    return box;
  };
  return [h("h1", {}, "Dashboards"), h("form", {}, choice), h("div", { class: "widgets" }, found.widgets.map(widget))];
}

const moment = (at) => (typeof at === "number" ? at * 1000 : Date.parse(at));

async function logs(group, query) {
  const { groups } = await get("logs");
  if (!group) return [h("h1", {}, "Logs"), table(["log group"], groups.map((name) => [link(`logs/${encodeURIComponent(name)}`, name)]), "Nothing was logged yet.")];
  const { events } = await get(`log?group=${encodeURIComponent(group)}&query=${encodeURIComponent(query ?? "")}`);
  const input = h("input", { value: query ?? "", placeholder: "Filter, as in ERROR or { $.level = \"ERROR\" }", "aria-label": "Filter" });
  return [
    h("h1", {}, group),
    h("form", { onsubmit: (event) => { event.preventDefault(); location.hash = `#/logs/${encodeURIComponent(group)}?${encodeURIComponent(input.value)}`; } }, input, h("button", {}, "Filter")),
    events.length ? h("pre", {}, events.map((event) => `${clockTime(event.timestamp)}  ${event.message.trimEnd()}`).join("\n")) : h("p", { class: "quiet" }, "No lines."),
  ];
}

// --- Which page, and when it is drawn ------------------------------------------

async function draw() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [section, name] = path.split("/").map(decodeURIComponent);
  const wanted = query === undefined ? undefined : decodeURIComponent(query);
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.getAttribute("href") === `#/${section}`) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  const pages = {
    "": () => overview(),
    fleet: () => (name ? device(name) : fleet(wanted)),
    jobs: () => (name ? job(name) : jobs()),
    dashboards: () => dashboards(name),
    logs: () => logs(name, wanted),
  };
  const here = location.hash;
  try {
    const nodes = await (pages[section] ?? overview)();
    // Somebody may have gone elsewhere, or be typing.
    if (here !== location.hash || page.contains(document.activeElement) && document.activeElement.tagName === "INPUT" && document.activeElement.value !== (wanted ?? "")) return;
    page.replaceChildren(...nodes.flat().filter(Boolean));
  } catch (error) {
    page.replaceChildren(h("h1", {}, "That did not work"), h("p", { class: "bad" }, error.message), link("", "Back to the overview"));
  }
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => { waiting = false; draw(); }, 400);
}

const events = new EventSource("events");
events.onopen = () => { live.textContent = "live"; live.className = "on"; };
events.onerror = () => { live.textContent = "reconnecting"; live.className = ""; };
events.onmessage = soon;
addEventListener("hashchange", () => { draw(); page.focus(); });
setInterval(soon, 5000);
draw();
