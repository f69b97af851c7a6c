// By keys alone: find a cluster, open it, ask why a page is in it, take it along as CSV, give it a name, and come back.
import { readFileSync } from "node:fs";
import { go, open, problems, settled } from "./browser.mjs";

export async function keys(browser, url) {
  const { context, page } = await open(browser, url, () => "keys");
  const press = async (...all) => {
    for (const key of all) await page.keyboard.press(key);
  };
  const at = (pattern) => page.waitForFunction((text) => new RegExp(text).test(location.hash), pattern);

  await press("?");
  await page.waitForSelector("dialog[open]");
  await press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });

  await press("g", "m");
  await at("^#/map");
  await press("g", "c");
  await at("^#/now");
  await settled(page);
  await press("j", "j");
  await press("Enter");
  await at("^#/cluster/\\d+");
  await page.waitForSelector("main .cluster-head");
  await settled(page);

  await press("w");
  await at("why=");
  await page.waitForSelector("[data-why] .candidates");
  const second = await page.locator("[data-why] .candidates h3", { hasText: "Runner-up" }).count();
  if (second === 0) problems.push("keys: no runner-up");
  const decided = await page.locator("[data-why] .candidates li").count();
  if (decided === 0) problems.push("keys: no term says why");
  await press("Escape");
  await page.waitForFunction(() => !location.hash.includes("why="));

  const coming = page.waitForEvent("download");
  await press("e");
  const text = readFileSync(await (await coming).path(), "utf8");
  const lines = text.trim().split("\n").length;
  if (lines < 2 || !/title/.test(text.split("\n")[0])) problems.push(`keys: the CSV has ${lines} lines, and begins ${text.slice(0, 80)}`);

  await page.getByRole("button", { name: "Rename" }).focus();
  await press("Enter");
  await page.getByRole("textbox", { name: "Name of the cluster" }).focus();
  await page.keyboard.type(" <b>named</b>");
  await press("Enter");
  // Nobody runs the pipeline: the server has done it, and says so.
  await page.getByText(/^Renamed: it is done, by commit \d/).waitFor();
  await page.locator(".cluster-head h2").getByText("<b>named</b>").waitFor();

  await byHand(page);

  await page.evaluate(() => document.activeElement?.blur());
  await press("Escape");
  await at("^#/now");
  await press("/");
  const focused = await page.evaluate(() => document.activeElement?.matches("[data-search]"));
  if (!focused) problems.push("keys: / does not lead to the search");
  await press("Escape");
  await press("p");
  await page.waitForSelector('.top-tools button[aria-pressed="true"]');
  await press("p");
  const before = await page.evaluate(() => document.documentElement.dataset.theme);
  await press(".", ".");
  const after = await page.evaluate(() => document.documentElement.dataset.theme);
  if (before === after) problems.push("keys: . does not change the colours");
  await unfolding(page);
  await byId(page);
  await context.close();
  return `${decided} terms say why, ${lines} lines of CSV`;
}

/** A cluster is merged into another one, after a look at what that would do, and comes back. */
async function byHand(page) {
  const clusters = () => page.evaluate(async () => (await (await fetch("/api/v1/clusters?limit=1000")).json()).clusters.map((one) => one.cluster));
  const before = await clusters();
  const [own] = (await page.evaluate(() => location.hash)).match(/\d+/);
  const other = before.find((id) => String(id) !== own);
  const press = async (name) => {
    await page.getByRole("button", { name, exact: true }).first().focus();
    await page.keyboard.press("Enter");
  };
  await press("Merge");
  await page.getByRole("combobox", { name: "Merge into: id of the cluster" }).fill(String(other));
  await page.keyboard.press("Enter");
  await page.getByText(/Merge: cluster \d+ would end, taken in by cluster \d+; [\d,]+ of the newest [\d,]+ pages would move/).waitFor();
  if ((await clusters()).length !== before.length) problems.push("keys: a look at an edit did it");
  await press("Do it");
  await page.getByText(/is gone/).waitFor();
  const merged = await clusters();
  if (merged.length !== before.length - 1) problems.push(`keys: ${merged.length} clusters after a merge of ${before.length}`);

  await go(page, `#/cluster/${other}`);
  await press("Undo");
  await press("Do it");
  await page.getByText(/^Undo: it is done, by commit \d/).waitFor();
  // What the server shows follows the commit.
  const isThere = async (many) => (await (await fetch("/api/v1/clusters?limit=1000")).json()).clusters.length === many;
  await page.waitForFunction(isThere, before.length);
  const after = await clusters();
  if (after.includes(Number(own))) problems.push(`keys: after undoing there are the clusters ${after}`);
}

/** A cluster unfolds into its themes, where it stands. */
async function unfolding(page) {
  await go(page, "#/now");
  await page.locator("main .unfold[aria-expanded=false]").first().press("Enter");
  await page.locator("main .themes li").first().waitFor();
}

/** A page is found by the id that it came with. */
async function byId(page) {
  const { id, title } = await page.evaluate(async () => (await (await fetch("/api/v1/pages?limit=1")).json()).pages[0]);
  await go(page, `#/pages?q=id:${id}`);
  const found = await page.locator("main tbody tr[data-row]").allInnerTexts();
  if (found.length !== 1 || !found[0].includes(title)) problems.push(`keys: id:${id} finds ${found.length} pages`);
}
