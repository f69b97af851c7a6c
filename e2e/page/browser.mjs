// Chromium, watched: what a page must not do is noted, whatever it is that we look at.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The page's own packages.
const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
/** Longest that anything may take to come; nothing waits as long when it works. */
export const DEADLINE = 60_000;

export const VIEWS = ["now", "messages", "domains", "map", "cluster", "pages", "rejects", "status"];

/** What was seen that should not be, one line each. */
export const problems = [];
export const counts = { pages: 0, dialogs: 0, foreign: 0, policy: 0, console: 0 };

export async function launch() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", headless: true, args: FLAGS.split(" ") });
}

/** A page of the server at `url`, which carries the token; `where` is said with each problem. */
export async function open(browser, url, where, options = {}) {
  const context = await browser.newContext({ viewport: { width: options.width ?? 1280, height: 800 }, colorScheme: options.theme ?? "light", acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  const own = new URL(url).origin;
  const note = (kind, text) => {
    counts[kind] += 1;
    problems.push(`${where()}: ${kind}: ${text}`);
  };
  page.on("dialog", (dialog) => (note("dialogs", dialog.message()), dialog.dismiss()));
  page.on("pageerror", (error) => note("console", error.message));
  page.on("console", (message) => {
    const text = message.text();
    if (/content security policy/i.test(text)) note("policy", text);
    else if (message.type() === "error" && !options.allows?.(text, message.location().url)) note("console", text);
  });
  page.on("request", (request) => {
    const { origin, protocol, href } = new URL(request.url());
    if (origin !== own && protocol !== "data:" && protocol !== "blob:") note("foreign", href);
  });
  context.on("page", (other) => other !== page && note("foreign", `a window opened: ${other.url()}`));
  await page.goto(url);
  await settled(page);
  return { context, page };
}

/** Waits until all that was asked for is shown. */
export async function settled(page) {
  await page.waitForSelector('main[aria-busy="false"]');
}

/** Goes to a view by its address, and waits until it is there. */
export async function go(page, hash) {
  await page.evaluate((to) => (location.hash = to), hash);
  const view = hash.replace(/^#\/(\w+).*/, "$1");
  await page.waitForSelector(`main[data-view="${view}"][aria-busy="false"]`);
  // Asking begins after the view is drawn: two frames later it has begun, and is over when the page says so.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await settled(page);
  counts.pages += 1;
}

/** Serious findings of axe. Handed over by the debugger, as the page's policy lets nobody else bring code in. */
export async function axe(page, where) {
  const debug = await page.context().newCDPSession(page);
  await debug.send("Runtime.evaluate", { expression: AXE });
  const asked = "axe.run(document, { resultTypes: ['violations'] }).then((all) => JSON.stringify(all.violations))";
  const { result } = await debug.send("Runtime.evaluate", { expression: asked, awaitPromise: true, returnByValue: true });
  await debug.detach();
  const serious = JSON.parse(result.value).filter((one) => one.impact === "serious" || one.impact === "critical");
  for (const one of serious) problems.push(`${where}: axe: ${one.id}: ${one.help}: ${one.nodes.slice(0, 2).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  return serious.length;
}

/** Waits until there are more pages than so many. The page cannot be asked to wait for an answer of the server: any promise counts as a yes. */
export async function pagesBeyond(page, than, path = "/api/v1/now") {
  await page.evaluate(async ([than, path, deadline]) => {
    for (const began = performance.now(); ; await new Promise(requestAnimationFrame)) {
      if ((await (await fetch(path)).json()).pages > than) return;
      if (performance.now() - began > deadline) throw new Error(`no more than ${than} pages came`);
    }
  }, [than, path, DEADLINE]);
}

/** Whether the page may think that it is seen. */
export async function hide(page, hidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

export async function firstCluster(page) {
  const answer = await page.evaluate(async () => (await fetch("/api/v1/clusters?limit=1")).json());
  return answer.clusters[0]?.cluster ?? 1;
}
