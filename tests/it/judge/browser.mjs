// Opens pages in Chromium and tells what a person would read there.
//
// One JSON object on standard input says what to do: `playwright` is the folder of the
// library, `chromium` the program, `base` the address, and `visits` lists `{path, await}`,
// where `await` is a text to wait for. The answer is one JSON object: for each visit the
// `text` of the page, the `charts` by their titles, the width it needs (`wide`), and every
// `error` that the browser's console showed. It decides nothing itself.

import { readFileSync } from "node:fs";

const order = JSON.parse(readFileSync(0, "utf8"));
const { chromium } = await import(`${order.playwright}/index.mjs`);
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: order.chromium, args: flags });
const errors = [];
const visits = [];
try {
  const page = await browser.newPage({ viewport: { width: order.width, height: 800 } });
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  page.on("pageerror", (error) => errors.push(String(error)));
  for (const { path, await: text } of order.visits) {
    await page.goto(`${order.base}#/${path}`);
    // What is never found is for the one who asked to complain about, with all of the text.
    await page.locator("main", { hasText: text }).waitFor({ timeout: 30_000 }).catch(() => {});
    visits.push(await page.evaluate(() => ({
      title: document.title,
      text: document.querySelector("main").innerText,
      charts: [...document.querySelectorAll("svg.chart")].map((chart) => ({
        title: chart.querySelector("title").textContent,
        drawn: chart.querySelectorAll("path[d^=M]").length,
      })),
      wide: document.documentElement.scrollWidth,
    })));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ visits, errors }));
