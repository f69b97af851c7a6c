// A run that goes on: what is drawn moves and never blinks, a pause keeps what comes in, and when the process dies the page says so.
import { asks } from "./asks.mjs";
import { go, open, problems } from "./browser.mjs";

export async function live(browser, url, pid) {
  const { context, page } = await open(browser, url, () => "live", { allows: (text) => /ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(text) });
  await page.waitForFunction(() => Number(document.querySelector(".tile-value")?.textContent.replaceAll(",", "")) > 0);
  await go(page, "#/messages?clock=arrival");
  await page.waitForSelector(".chart path");
  const moved = await watchFrames(page, 6);
  if (moved.blank > 0) problems.push(`live: ${moved.blank} of ${moved.frames} frames were blank`);
  await go(page, "#/now");
  await pausing(page);
  await hiding(page);
  const asked = await asks(page);
  process.kill(pid, "SIGKILL");
  await page.getByText(/No word from the server since/).waitFor();
  await context.close();
  const rate = (moved.redraws / moved.seconds).toFixed(1);
  return `${moved.blank} of ${moved.frames} frames blank, ${rate} redraws a second over ${moved.seconds.toFixed(0)} s, heap ${moved.heap.join(" then ")} MB; ${asked}`;
}

/** Looks at every frame until the drawing over time has changed so many times. */
async function watchFrames(page, changes) {
  const debug = await page.context().newCDPSession(page);
  const heap = async () => {
    await debug.send("HeapProfiler.collectGarbage");
    const { metrics } = await debug.send("Performance.getMetrics");
    return (metrics.find((one) => one.name === "JSHeapUsedSize").value / 1e6).toFixed(1);
  };
  await debug.send("Performance.enable");
  const before = await heap();
  const seen = await page.evaluate((changes) => new Promise((done) => {
    const main = document.querySelector("main");
    const seen = { frames: 0, blank: 0, redraws: 0, seconds: 0 };
    const drawing = () => [...main.querySelectorAll(".chart > svg path")].map((path) => path.getAttribute("d")).join();
    let [last, left, dirty] = [drawing(), changes, false];
    const watch = new MutationObserver(() => (dirty = true));
    watch.observe(main, { subtree: true, childList: true, attributes: true, characterData: true });
    const began = performance.now();
    requestAnimationFrame(function frame() {
      seen.frames += 1;
      if (dirty) seen.redraws += 1;
      dirty = false;
      const now = drawing();
      if (!now || !main.querySelector(".figure-body .bar")) seen.blank += 1;
      if (now !== last) [last, left] = [now, left - 1];
      seen.seconds = (performance.now() - began) / 1000;
      if (left > 0) requestAnimationFrame(frame);
      else (watch.disconnect(), done(seen));
    });
  }), changes);
  return { ...seen, heap: [before, await heap()] };
}

/** A page that nobody sees lets go of the stream, and hardly asks. */
async function hiding(page) {
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const pages = () => page.evaluate(async () => (await (await fetch("/api/v1/now?")).json()).pages);
  await hide(true);
  let asked = 0;
  const count = (request) => (asked += request.url().endsWith("?") ? 0 : 1);
  page.on("request", count);
  const before = await pages();
  // What goes on meanwhile is seen by a question that the page does not ask.
  await page.waitForFunction(async (before) => (await (await fetch("/api/v1/now?")).json()).pages > before + 15_000, before, { polling: 500 });
  page.off("request", count);
  if (asked > 1) problems.push(`live: a hidden page asked ${asked} times in three seconds`);
  const shown = await page.locator(".tile-value").first().innerText();
  await hide(false);
  await page.waitForFunction((shown) => document.querySelector(".tile-value").textContent !== shown, shown);
}

async function pausing(page) {
  const shown = () => page.locator(".tile-value").first().innerText();
  await page.keyboard.press("p");
  const stands = await shown();
  await page.waitForFunction(async (stands) => (await (await fetch("/api/v1/now")).json()).pages > stands + 5_000, Number(stands.replaceAll(",", "")));
  if ((await shown()) !== stands) problems.push("live: what is shown moves while it is paused");
  await page.keyboard.press("p");
  await page.waitForFunction((stands) => document.querySelector(".tile-value").textContent !== stands, stands);
}
