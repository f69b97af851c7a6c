// Tables: what a drawing shows is in its table and its CSV, a head says how it sorts, and the map can be moved by keys.
import { readFileSync } from "node:fs";
import { go, open, problems } from "./browser.mjs";

export async function tables(browser, url) {
  const { context, page } = await open(browser, url, () => "tables");
  const expect = (true_, what) => true_ || problems.push(`tables: ${what}`);
  const heads = () => page.locator("main thead th[aria-sort]").evaluateAll((all) => all.map((th) => [th.textContent.trim().replace(/\s*[▾▴]$/, ""), th.ariaSort]).filter(([, sort]) => sort !== "none").join());
  const lines = async (link) => {
    const coming = page.waitForEvent("download");
    await link.click();
    return csv(readFileSync(await (await coming).path(), "utf8"));
  };

  for (const [hash, wanted] of [["#/now", "Delivered,descending"], ["#/now?sort=label", "Cluster,ascending"], ["#/domains", "All,descending"], ["#/domains?sort=name", "Main domain,ascending"]]) {
    await go(page, hash);
    expect((await heads()) === wanted, `${hash} sorts by ${await heads()}, not ${wanted}`);
  }

  const pages = await page.evaluate(async () => (await (await fetch("/api/v1/now")).json()).pages);
  await go(page, "#/pages");
  const taken = await lines(page.locator("main [data-export]"));
  expect(taken === Math.min(pages, 100_000), `the CSV of ${pages} pages has ${taken}`);
  const refused = await page.request.get(`${new URL(url).origin}/api/v1/pages?format=csv&limit=100001`);
  expect(refused.status() === 400, `a CSV of too many rows is answered with ${refused.status()}`);

  await go(page, "#/map?points=1000&table=1");
  const shown = await page.locator("main .figure tbody tr").evaluateAll((all) => all.map((row) => row.cells[0].textContent));
  const map = await page.evaluate(async () => (await fetch("/api/v1/map?points=1000")).json());
  const [clusters, themes, points] = [map.clusters.length, map.themes.length, map.points.items.length];
  const of = (what) => shown.filter((one) => one === what).length;
  expect(of("cluster") === clusters && of("theme") === themes && of("page") === points && points > 0, `the map's table has ${of("cluster")} clusters, ${of("theme")} themes, ${of("page")} pages`);
  expect((await lines(page.locator("main [data-export]"))) === clusters + themes + points, "the map's CSV is not its table");

  await go(page, "#/map");
  await page.locator(".map").focus();
  const look = () => new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
  await page.keyboard.press("ArrowRight");
  expect(!look().has("x"), "the whole map moves");
  await page.keyboard.press("+");
  for (const [key, name, wanted] of [["ArrowRight", "x", 1], ["ArrowDown", "y", 1], ["ArrowLeft", "x", 0], ["ArrowUp", "y", 0]]) {
    await page.keyboard.press(key);
    expect(Math.sign(Number(look().get(name))) === wanted, `${key} leads to ${name}=${look().get(name)}`);
  }
  await page.keyboard.press("0");
  expect(!look().has("zoom"), "0 does not show all");
  await context.close();
  return `${taken} lines of CSV, ${themes} themes and ${points} pages in the map's table`;
}

/** Rows of a CSV behind its head; fields in quotes may go over several lines. */
function csv(text) {
  return text.replace(/"[^"]*"/g, "").trim().split("\n").length - 1;
}
