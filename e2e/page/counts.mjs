// node counts.mjs URL: pages of each cluster, as the page, the API and the metrics of a server say, as one JSON object.
import { go, launch, open, problems } from "./browser.mjs";

const browser = await launch();
const { page } = await open(browser, process.argv[2], () => "counts");
await go(page, "#/messages?table=1");
const told = await page.evaluate(async () => {
  const get = async (path) => (await fetch(path)).text();
  const object = (rows) => Object.fromEntries(rows);
  const first = document.querySelector("main table");
  const seen = [...first.querySelectorAll("tbody tr[data-row]")].map((row) => [
    row.querySelector(".cluster-link .id").textContent,
    Number(row.cells[1].textContent.replaceAll(",", "")),
  ]);
  const messages = JSON.parse(await get("/api/v1/messages")).clusters.map((one) => [one.cluster, one.pages]);
  const clusters = JSON.parse(await get("/api/v1/clusters")).clusters.map((one) => [one.cluster, one.delivered]);
  const lines = await get("/metrics");
  const others = Number(/^windrow_other_delivered_pages (\d+)$/m.exec(lines)[1]);
  const metrics = [["", "other", others], ...lines.matchAll(/^windrow_delivered_pages_total\{cluster="(\w+)"\} (\d+)$/gm)].map(([, cluster, pages]) => [cluster, Number(pages)]);
  return { page: object(seen), messages: object(messages), clusters: object(clusters), metrics: object(metrics) };
});
await browser.close();
console.log(JSON.stringify(told));
problems.forEach((problem) => console.error(problem));
process.exit(problems.length === 0 ? 0 : 1);
