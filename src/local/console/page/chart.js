// Charts as SVG: lines over time, with an axis that people can read. No library.

const NS = "http://www.w3.org/2000/svg";
const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
// What says how something ended has the colour that it has everywhere.
const MEANINGS = [[/succe|complete/i, "--good"], [/fail|error/i, "--bad"], [/progress/i, "--busy"]];

function element(name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export function colour(lines, index) {
  const meaning = (line) => MEANINGS.find(([pattern]) => pattern.test(line.label))?.[1];
  const mine = meaning(lines[index]);
  const alone = mine && lines.filter((line) => meaning(line) === mine).length === 1;
  return `var(${alone ? mine : COLOURS[index % COLOURS.length]})`;
}

// Lines of {label, points: [[milliseconds, value], …]} between two moments.
// One unit is one pixel at `wide`, so that its words are as large as all others.
export function lineChart(lines, from, to, wide) {
  const [width, height, left, bottom, top] = [Math.max(240, Math.round(wide)), 190, 44, 22, 10];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img" });
  const values = lines.flatMap((line) => line.points.map((point) => point[1]));
  svg.append(element("title", {}, lines.map((line) => `${line.label}: ${line.points.at(-1)?.[1] ?? "no data"}`).join(", ")));
  const most = ceiling(Math.max(1, ...values));
  const x = (at) => left + ((at - from) / Math.max(1, to - from)) * (width - left - 8);
  const y = (value) => height - bottom - (value / most) * (height - bottom - top);
  for (const part of [0, 0.5, 1]) {
    const at = y(most * part);
    svg.append(element("line", { x1: left, x2: width - 8, y1: at, y2: at, class: "axis" }));
    svg.append(element("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, short(most * part)));
  }
  for (const [part, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const at = from + (to - from) * part;
    svg.append(element("text", { x: x(at), y: height - 6, "text-anchor": anchor }, shortTime(at)));
  }
  if (values.length === 0) {
    svg.append(element("text", { x: width / 2, y: height / 2 - 12, "text-anchor": "middle" }, "no data yet"));
  }
  lines.forEach((line, index) => {
    const stroke = colour(lines, index);
    const path = line.points.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(element("path", { d: path, fill: "none", stroke, "stroke-width": 2, "stroke-linejoin": "round" }));
    const last = line.points.at(-1);
    if (last) svg.append(element("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, fill: stroke }));
  });
  return svg;
}

// The next number that looks good at the top of an axis.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value) ?? value;
}

export const short = (value) => value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : `${+value.toFixed(2)}`;

export const clockTime = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortTime = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
