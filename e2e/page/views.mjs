// Every view, with every number of rows, in both themes, narrow and wide: nothing is wrong, nothing sticks out, a picture is kept.
import { axe, firstCluster, go, open, problems, VIEWS } from "./browser.mjs";

const WIDTHS = [1280, 360];

export async function views(browser, servers, shots) {
  let [pictures, serious] = [0, 0];
  for (const [size, url] of servers) {
    for (const theme of ["light", "dark"]) {
      for (const width of WIDTHS) {
        let view = "now";
        const where = () => `${view} ${size} ${theme} ${width}`;
        // Asking for a cluster that is not there is answered with 404, which browsers call an error.
        const allows = (text, from) => size === "none" && /404/.test(text) && from.includes("/clusters/");
        const { context, page } = await open(browser, url, where, { theme, width, allows });
        const cluster = await firstCluster(page);
        for (view of VIEWS) {
          await go(page, view === "cluster" ? `#/cluster/${cluster}` : `#/${view}`);
          await says(page, size, view, where());
          const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (over > 0) problems.push(`${where()}: ${over} pixels wider than the window`);
          await page.screenshot({ path: `${shots}/${view}-${size}-${theme}-${width}.png`, fullPage: true });
          pictures += 1;
          if (width === WIDTHS[0] || size === "many") serious += await axe(page, where());
        }
        await context.close();
      }
    }
  }
  return `${pictures} pictures, axe: ${serious} serious`;
}

/** What a view alone shows when there is something. */
const OWN = {
  now: 'section[aria-label="Clusters"] tbody tr[data-row]',
  messages: 'section[aria-label="Pages per cluster"] .bar',
  domains: "table.heat tbody td.heat-cell",
  map: ".map svg a[data-row] circle",
  cluster: 'section[aria-label="Facts"] .weighted li',
  pages: 'section[aria-label="Pages"] tbody tr[data-row]',
  rejects: "ul.rejects > li",
  status: 'section[aria-label="Commits"] tbody tr[data-row]',
};
/** What a view says when there is nothing of its own. */
const NOTHING = { cluster: /there is no cluster 1/i, status: /Nothing is committed yet/, rejects: /Every one of 1 rows became a page/ };

/** What must stand there: what to run when there is nothing; else why it stopped, and what this view is for. */
async function says(page, size, view, where) {
  const text = await page.locator("main").innerText();
  const has = (wanted) => wanted.test(text) || problems.push(`${where}: does not say ${wanted}`);
  if (size !== "none") has(/The run stopped .*: it had read all of its input/);
  if (size === "one" && view === "rejects") has(NOTHING.rejects);
  else if (size === "none") has(view === "cluster" || view === "status" ? NOTHING[view] : /windrow run --input/);
  else if ((await page.locator(OWN[view]).count()) === 0) problems.push(`${where}: shows no ${OWN[view]}`);
}

/** Every chart as a table, and as files that are taken away. */
export async function charts(browser, url) {
  let view = "messages";
  const { context, page } = await open(browser, url, () => `charts ${view}`);
  let files = 0;
  for (view of ["messages", "domains", "map"]) {
    await go(page, `#/${view}`);
    for (const name of ["SVG", "PNG"]) {
      const coming = page.waitForEvent("download");
      await page.getByRole("button", { name, exact: true }).first().click();
      const saved = await (await coming).path();
      const { readFileSync } = await import("node:fs");
      const bytes = readFileSync(saved);
      const good = name === "PNG" ? bytes.subarray(1, 4).toString() === "PNG" : bytes.toString().startsWith("<svg") && !/<script|<a |href=/.test(bytes.toString());
      if (!good || bytes.length < 1000) problems.push(`charts ${view}: the ${name} is not one (${bytes.length} bytes)`);
      files += 1;
    }
    await page.keyboard.press("t");
    await page.waitForSelector("main .figure table");
    const rows = await page.locator("main .figure table tbody tr").count();
    if (rows === 0) problems.push(`charts ${view}: an empty table`);
    if (!page.url().includes("table=1")) problems.push(`charts ${view}: the table is not in the address`);
    await page.keyboard.press("t");
    await page.waitForFunction(() => !location.hash.includes("table=1"));
  }
  await context.close();
  return `${files} files`;
}

/** How soon there is something to see, and how soon the map answers the pointer: measured, not judged. */
export async function speeds(browser, url) {
  const { context, page } = await open(browser, url, () => "speeds");
  await page.reload();
  await page.waitForSelector('main[aria-busy="false"]');
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  await go(page, "#/map");
  const hover = await page.evaluate(async () => {
    const map = document.querySelector(".map");
    const box = map.getBoundingClientRect();
    const times = [];
    for (let i = 0; i < 40; i++) {
      const at = { clientX: box.left + box.width * (0.3 + 0.4 * ((i * 0.618) % 1)), clientY: box.top + box.height * (0.3 + 0.4 * ((i * 0.382) % 1)), bubbles: true };
      const began = performance.now();
      map.dispatchEvent(new PointerEvent("pointermove", at));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
  });
  await context.close();
  return `first paint ${Math.round(paint)} ms, hover ${Math.round(hover)} ms (95 of 100)`;
}
