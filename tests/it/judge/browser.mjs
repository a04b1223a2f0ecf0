// Opens pages in Chromium and tells what a person would see there.
//
// Each line of standard input is one JSON object, and gets one as its answer. The first says
// how to begin: `playwright` is the folder of the library, `chromium` the program, `base` the
// address, `width` that of the screen. Each further one waits for an element that fits the
// selector `place` and has all of `texts` in it; with a `path` it goes to that page first,
// without one it stays, so that what appears has come by itself. The answer is whether it was
// `found`, and what is seen then: the `text` of the page, the `charts` by their titles, the
// width it needs (`wide`), for the light and the dark scheme the colours of its words on
// their ground, and every error that the browser's console has shown so far. It decides
// nothing itself. The end of the input ends it.

import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = JSON.parse((await lines.next()).value);
const { chromium } = await import(`${order.playwright}/index.mjs`);
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: order.chromium, args: flags });
const errors = [];
try {
  const page = await browser.newPage({ viewport: { width: order.width, height: 800 } });
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  page.on("pageerror", (error) => errors.push(String(error)));
  // Nothing is asked again by the clock: what is new on a page was told to it.
  await page.addInitScript(() => { globalThis.setInterval = () => 0; });
  console.log("{}");
  for await (const line of lines) {
    const { path, place, texts } = JSON.parse(line);
    if (path !== undefined) await page.goto(`${order.base}#/${path}`);
    const wanted = texts.reduce((found, hasText) => found.filter({ hasText }), page.locator(place));
    // What is never found is for the one who asked to complain about, with all of the text.
    const found = await wanted.first().waitFor({ timeout: 30_000 }).then(() => true, () => false);
    const schemes = {};
    for (const colorScheme of ["dark", "light"]) {
      await page.emulateMedia({ colorScheme });
      schemes[colorScheme] = await page.evaluate(colours);
    }
    console.log(JSON.stringify({ found, schemes, errors, ...(await page.evaluate(seen)) }));
  }
} finally {
  await browser.close();
}

// What follows runs in the page.

function seen() {
  return {
    title: document.title,
    text: document.querySelector("main").innerText,
    charts: [...document.querySelectorAll("svg.chart")].map((chart) => ({
      title: chart.querySelector("title").textContent,
      drawn: chart.querySelectorAll("path[d^=M]").length,
    })),
    wide: document.documentElement.scrollWidth,
  };
}

// The colours of all words that are shown, once each, with what stands behind them: how much
// light both give, from 0 to 1, and the contrast of the two, from 1 to 21.
function colours() {
  const read = (colour) => {
    const [, inside] = /^rgba?\((.*)\)$/.exec(colour) ?? [null, ""];
    const parts = inside.split(/[\s,/]+/).map(Number);
    if (parts.length < 3 || parts.some(Number.isNaN)) throw new Error(`cannot read the colour ${colour}`);
    return { rgb: parts.slice(0, 3), alpha: parts[3] ?? 1 };
  };
  const over = ({ rgb, alpha }, ground) => rgb.map((part, place) => alpha * part + (1 - alpha) * ground[place]);
  const parents = (node) => (node ? [node, ...parents(node.parentElement)] : []);
  const ground = (node) => parents(node).reverse()
    .reduce((below, parent) => over(read(getComputedStyle(parent).backgroundColor), below), [255, 255, 255]);
  const light = (rgb) => rgb.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const found = new Map();
  const look = (text, node, colour) => {
    const behind = ground(node);
    const { rgb, alpha } = read(colour);
    const opacity = parents(node).reduce((product, parent) => product * Number(getComputedStyle(parent).opacity), alpha);
    const [words, back] = [light(over({ rgb, alpha: opacity }, behind)), light(behind)];
    const contrast = (Math.max(words, back) + 0.05) / (Math.min(words, back) + 0.05);
    const key = `${colour} ${opacity} on ${behind}`;
    if (!found.has(key)) found.set(key, { text: text.trim().slice(0, 40), colour: key, words, ground: back, contrast });
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const [text, node] = [walk.currentNode, walk.currentNode.parentElement];
    const range = document.createRange();
    range.selectNodeContents(text);
    const isShown = text.data.trim() && node.checkVisibility() && range.getClientRects().length > 0;
    // A list to choose from shows its own words below.
    if (!isShown || node.closest("option, script, style, svg title")) continue;
    look(text.data, node, getComputedStyle(node)[node instanceof SVGElement ? "fill" : "color"]);
  }
  for (const input of document.querySelectorAll("input, select")) {
    const words = input.tagName === "INPUT" && !input.value ? "::placeholder" : null;
    look(input.value || input.placeholder || "", input, getComputedStyle(input, words).color);
  }
  return [...found.values()];
}
