// From the start of `windrow demo` to a map with names on it, and to drawings over time that grow: measured, not judged.
import { go, open, pagesBeyond, problems } from "./browser.mjs";
import { demo } from "./pipeline.mjs";

/** What one gets who watches on a terminal. */
const RATE = 20_000;
/** Bytes of the picture that stands in the README. */
const PICTURE_MOST = 80_000;

export async function first(browser, windrow, out, shots) {
  const pipeline = await demo(windrow, out, RATE);
  const [named, grows] = await Promise.all([map(browser, pipeline), growing(browser, pipeline)]);
  const bytes = await picture(browser, pipeline.url, `${shots}/demo.png`);
  await pipeline.end("SIGKILL");
  return `from the program's start to a map with names ${named.toFixed(1)} s, to a timeline that grows ${grows.toFixed(1)} s; picture of ${bytes} bytes`;
}

async function map(browser, pipeline) {
  const { context, page } = await open(browser, pipeline.url, () => "demo map");
  await go(page, "#/map");
  await page.locator(".map svg text").first().waitFor();
  const seconds = pipeline.seconds();
  await context.close();
  return seconds;
}

/** As one finds it who chooses nothing. */
async function growing(browser, pipeline) {
  const { context, page } = await open(browser, pipeline.url, () => "demo timeline");
  await go(page, "#/messages");
  const drawing = page.locator(".chart > svg path").first();
  await drawing.waitFor();
  const before = await drawing.getAttribute("d");
  await page.waitForFunction((before) => document.querySelector(".chart > svg path").getAttribute("d") !== before, before);
  const seconds = pipeline.seconds();
  await context.close();
  return seconds;
}

/** The picture of the README. */
async function picture(browser, url, path) {
  const { context, page } = await open(browser, url, () => "demo picture");
  await page.setViewportSize({ width: 960, height: 400 });
  await pagesBeyond(page, 100_000);
  await go(page, "#/now");
  const { length } = await page.screenshot({ path });
  await context.close();
  if (length > PICTURE_MOST) problems.push(`demo: a picture of ${length} bytes`);
  return length;
}
