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

/** What each view has for people who look for it. */
const HOLDS = {
  now: "Pages|Clusters|Rejects|Rate|Commit|What changed|Delivered|Themes",
  messages: "Pages per cluster|Largest|Log|1 min|24 h|Page time|Arrival|Stacked|Small multiples|PNG|SVG|CSV|pages in \\d+ clusters",
  domains: "Main domain|Other clusters|other domains|PNG|SVG|CSV",
  map: "showing [\\d,]+ of [\\d,]+ pages|PNG|SVG",
  cluster: "Rename|Pin|CSV|Excel|Parquet|Delivered|Now|Languages|Terms|Main domains|Representative|Boundary|Latest|why\\?|Pages over time|Themes inside|Neighbours|Latest pages|History|DuckDB|API|Stream|Export",
  pages: "Follow|CSV|id:123|cluster:7|why\\?",
  rejects: "Rejects by reason|newest first|bytes",
  status: "Standing|Versions|Inputs|Behind|Commits|Settings|Set in|default",
};

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
  const missing = size === "many" ? HOLDS[view].split("|").filter((one) => !new RegExp(one).test(text)) : [];
  if (missing.length > 0) problems.push(`${where}: does not hold ${missing}`);
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

/** Enlarged to the double, nothing sticks out; on paper everything is dark on light, and what only a screen can do is gone. */
export async function printed(browser, url, shots) {
  let view = "now";
  const { context, page } = await open(browser, url, () => `printed ${view}`, { theme: "dark", width: 640 });
  const cluster = await firstCluster(page);
  for (view of VIEWS) {
    await go(page, view === "cluster" ? `#/cluster/${cluster}` : `#/${view}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) problems.push(`printed ${view}: enlarged, it is ${over} pixels wider than the window`);
    await page.emulateMedia({ media: "print" });
    await page.waitForFunction(() => document.documentElement.dataset.theme === "light").catch(() => problems.push(`printed ${view}: dark on paper`));
    const tools = await page.locator(".top button:visible, .tools:visible, .bar-of-tools:visible").count();
    if (tools > 0) problems.push(`printed ${view}: ${tools} tools on paper`);
    await page.screenshot({ path: `${shots}/${view}-many-print.png`, fullPage: true });
    await page.emulateMedia({ media: "screen" });
  }
  await context.close();
  return `${VIEWS.length} views at 200 %, and on paper`;
}

/** How soon there is something to see, and how soon the map answers the pointer: measured, not judged. */
export async function speeds(browser, url) {
  const { context, page } = await open(browser, url, () => "speeds");
  await page.reload();
  await page.waitForSelector('main[aria-busy="false"]');
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const hovers = [];
  for (const [view, chart] of [["map", ".map"], ["messages", ".chart"]]) {
    await go(page, `#/${view}`);
    hovers.push(`${view} ${Math.round(await hover(page, chart))} ms`);
  }
  await context.close();
  return `first paint ${Math.round(paint)} ms, hover over ${hovers.join(", ")} (95 of 100)`;
}

/** From the pointer's move to the frame that shows it. */
function hover(page, chart) {
  return page.evaluate(async (chart) => {
    const drawing = document.querySelector(chart);
    const box = drawing.getBoundingClientRect();
    const times = [];
    for (let i = 0; i < 40; i++) {
      const at = { clientX: box.left + box.width * (0.3 + 0.4 * ((i * 0.618) % 1)), clientY: box.top + box.height * (0.3 + 0.4 * ((i * 0.382) % 1)), bubbles: true };
      const began = performance.now();
      drawing.dispatchEvent(new PointerEvent("pointermove", at));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
  }, chart);
}
