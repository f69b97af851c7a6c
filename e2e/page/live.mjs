// A run that goes on: what is drawn moves and never blinks, a pause keeps what comes in, and when the process dies the page says so.
import { asks } from "./asks.mjs";
import { go, hide, open, pagesBeyond, problems } from "./browser.mjs";
import { demo } from "./pipeline.mjs";
import { speeds } from "./views.mjs";

const RATE = 5_000;
/** Redraws that are looked at, at least. */
const CHANGES = 6;
/** The heap of the last quarter may be so many times that of the first: what leaks grows with every message, and there are thousands. */
const HEAP_GROWS = 1.5;

/** For so many seconds; for none, until it has moved a few times. */
export async function live(browser, windrow, out, seconds) {
  const pipeline = await demo(windrow, out, RATE);
  const { context, page } = await open(browser, pipeline.url, () => "live", { allows: (text) => /ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(text) });
  await page.waitForFunction(() => Number(document.querySelector(".tile-value")?.textContent.replaceAll(",", "")) > 0);
  await go(page, "#/messages?clock=arrival");
  // What has been drawn once stays; the first answer may be from before the first pages were counted.
  await page.waitForSelector(".chart > svg path");
  await page.waitForSelector(".figure-body .bar");
  const [moved, rows, fast] = await watched(browser, page, pipeline.url, seconds);
  if (moved.blank > 0) problems.push(`live: ${moved.blank} of ${moved.frames} frames were blank, the last of them number ${moved.lastBlank}`);
  await go(page, "#/now");
  await pausing(page);
  await hiding(page);
  const asked = await asks(page);
  await pipeline.end("SIGKILL");
  await page.getByText(/No word from the server since/).waitFor();
  await context.close();
  const rate = (moved.redraws / moved.seconds).toFixed(1);
  const frames = `${moved.blank} of ${moved.frames} frames blank, ${rate} redraws a second over ${moved.seconds.toFixed(0)} s at ${Math.round(rows / moved.seconds)} rows/s`;
  return `${frames}; heap ${heapOf(moved.heap, seconds)}${fast && `; meanwhile ${fast}`}; ${asked}`;
}

/** Every frame, the heap meanwhile, the rows that came, and how fast a page beside it was. */
async function watched(browser, page, url, seconds) {
  const read = () => page.evaluate(async () => (await (await fetch("/api/v1/now")).json()).rows);
  const before = await read();
  const frames = watchFrames(page, seconds);
  const fast = seconds > 0 ? await speeds(browser, url) : "";
  const moved = await frames;
  return [moved, (await read()) - before, fast];
}

/** The first quarter against the last. */
function heapOf(heap, seconds) {
  const quarter = Math.ceil(heap.length / 4);
  const mean = (some) => some.reduce((a, b) => a + b, 0) / some.length;
  const [first, last] = [mean(heap.slice(0, quarter)), mean(heap.slice(-quarter))];
  const said = `${first.toFixed(1)} MB in the first quarter, ${last.toFixed(1)} MB in the last`;
  if (seconds > 0 && last > first * HEAP_GROWS) problems.push(`live: the heap grows: ${said}`);
  return said;
}

/** Looks at every frame, and at the heap each time the drawing over time has changed. */
async function watchFrames(page, seconds) {
  const debug = await page.context().newCDPSession(page);
  const heap = [];
  await debug.send("Performance.enable");
  await page.exposeFunction("drawnAnew", async () => {
    await debug.send("HeapProfiler.collectGarbage");
    const { metrics } = await debug.send("Performance.getMetrics");
    heap.push(metrics.find((one) => one.name === "JSHeapUsedSize").value / 1e6);
  });
  const seen = await page.evaluate(([changes, seconds]) => new Promise((done) => {
    const main = document.querySelector("main");
    const seen = { frames: 0, blank: 0, lastBlank: 0, redraws: 0, seconds: 0 };
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
      if (!now || !main.querySelector(".figure-body .bar")) {
        seen.blank += 1;
        seen.lastBlank = seen.frames;
      }
      if (now !== last) {
        [last, left] = [now, left - 1];
        void drawnAnew();
      }
      seen.seconds = (performance.now() - began) / 1000;
      if (left > 0 || seen.seconds < seconds) requestAnimationFrame(frame);
      else (watch.disconnect(), done(seen));
    });
  }), [CHANGES, seconds]);
  return { ...seen, heap };
}

/** A page that nobody sees lets go of the stream, and hardly asks. */
async function hiding(page) {
  const pages = () => page.evaluate(async () => (await (await fetch("/api/v1/now?")).json()).pages);
  await hide(page, true);
  let asked = 0;
  const count = (request) => (asked += request.url().endsWith("?") ? 0 : 1);
  page.on("request", count);
  const before = await pages();
  // What goes on meanwhile is seen by a question that the page does not ask.
  await pagesBeyond(page, before + 15_000, "/api/v1/now?");
  page.off("request", count);
  if (asked > 1) problems.push(`live: a hidden page asked ${asked} times in three seconds`);
  const shown = await page.locator(".tile-value").first().innerText();
  await hide(page, false);
  await page.waitForFunction((shown) => document.querySelector(".tile-value").textContent !== shown, shown);
}

async function pausing(page) {
  const shown = () => page.locator(".tile-value").first().innerText();
  await page.keyboard.press("p");
  const stands = await shown();
  await pagesBeyond(page, Number(stands.replaceAll(",", "")) + 5_000);
  if ((await shown()) !== stands) problems.push("live: what is shown moves while it is paused");
  await page.keyboard.press("p");
  await page.waitForFunction((stands) => document.querySelector(".tile-value").textContent !== stands, stands);
}
