// What a user does with the buttons of a cluster beside a run stays done: the run is killed before it has committed any of it, learns again, and
// everything is as the user said, on the page and in the files.
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEADLINE, go, open, pagesBeyond, problems } from "./browser.mjs";
import { Pipeline } from "./pipeline.mjs";

const THEMES = ["sailing harbour mast anchor", "piano sonata organ concert", "volcano lava crater ash", "bakery bread flour oven", "cycling race stage jersey", "glacier ice fjord arctic"];
/** Rows that are committed before anybody says anything; what comes after them in the first life is fewer, and is not. */
const COMMITTED = 3_000;
const NAME = "mine <b>named</b>";

export async function hand(browser, windrow, dir) {
  mkdirSync(dir, { recursive: true });
  const [out, input] = [join(dir, "out"), join(dir, "pages.csv")];
  writeFileSync(input, "creation_time,id,url,title,keywords,description\n");
  let rows = 0;
  const write = (many) => {
    const line = (row) => {
      const words = THEMES[row % THEMES.length].split(" ");
      const title = [0, 1, 2].map((at) => words[(row + at * (1 + (row >> 3) % 3)) % words.length]).join(" ");
      return `2023-05-17T20:21:51Z,${row},https://${words[0]}.example.org/${row},${title},${words[row % 4]},\n`;
    };
    appendFileSync(input, Array.from({ length: many }, (_, at) => line(rows + at)).join(""));
    rows += many;
  };
  const run = () => Pipeline.served(windrow, ["run", "--quiet", "--follow", "--roll-rows", String(COMMITTED), "--input", input, "--out", out]);
  write(COMMITTED);
  let pipeline = await run();
  // A cluster that ended since the commit is not known as one that has ended: the server answers 404 until the next.
  const allows = (text, from) => /ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(text) || (/404/.test(text) && /clusters.\d+$/.test(from));
  let { context, page } = await open(browser, pipeline.url, () => "hand", { allows });
  await pagesBeyond(page, rows - 1);
  const user = new User(page, async () => {
    write(100);
    await pagesBeyond(page, rows - 1);
  });
  const kept = await user.corrects();
  const before = await user.clusters();
  const commit = await user.commit();
  await pipeline.end("SIGKILL");
  await context.close();

  pipeline = await run();
  ({ context, page } = await open(browser, pipeline.url, () => "hand, after the kill", { allows }));
  const again = new User(page);
  // What was said behind the last row is taken before the next one.
  write(100);
  await pagesBeyond(page, rows - 1);
  const isSame = (found) => JSON.stringify(found) === JSON.stringify(before);
  const same = (name, found) => isSame(found) || problems.push(`hand: ${name}: ${JSON.stringify(found)} and not ${JSON.stringify(before)}`);
  if ((await again.commit()) !== commit) problems.push("hand: what was said had been committed before the kill");
  same("after the kill", await again.until(isSame));
  await go(page, `#/cluster/${kept}`);
  await page.locator(".cluster-head h2").getByText(NAME).waitFor();
  await page.locator(".cluster-head h2").getByText("pinned").waitFor();
  write(COMMITTED);
  await pagesBeyond(page, rows - 1);
  await pipeline.end("SIGTERM");
  await context.close();

  const asked = (...words) => execFileSync(windrow, [...words, "-o", "json", "--out", out], { encoding: "utf8" });
  same("in the files", asked("clusters").trim().split("\n").map((line) => known(JSON.parse(line))).sort(byId));
  const audit = JSON.parse(asked("audit", "--input", input));
  if (audit.lost + audit.duplicated + audit.disagreeing !== 0 || audit.pages !== rows) problems.push(`hand: the audit: ${JSON.stringify(audit)}`);
  return `renamed, pinned, merged, split, undone by buttons; killed; ${before.length} clusters as said, ${audit.pages} pages audited`;
}

/** What of a cluster the user has a say in. */
const known = ({ cluster, label, pinned, renamed }) => ({ cluster, label: renamed ? label : "", pinned });
const byId = (a, b) => a.cluster - b.cluster;

class User {
  /** `more` lets rows come, before which a run takes what was said. */
  constructor(page, more) {
    this.page = page;
    this.more = more;
  }

  async clusters() {
    const { clusters } = await this.page.evaluate(async () => (await fetch("/api/v1/clusters?limit=1000")).json());
    return clusters.map(known).sort(byId);
  }

  /** The clusters when they are as they should be, which what the server shows of them may be some time after its counts; else as they are at last. */
  async until(areSo) {
    for (const began = performance.now(); ; ) {
      const found = await this.clusters();
      if (areSo(found) || performance.now() - began > DEADLINE) return found;
      await this.page.evaluate(() => new Promise(requestAnimationFrame));
    }
  }

  async commit() {
    return this.page.evaluate(async () => (await (await fetch("/api/v1/now")).json()).commit);
  }

  /** Every kind of edit; gives the cluster that was kept. */
  async corrects() {
    const first = await this.clusters();
    const [kept, merged, , lost] = first.map((one) => one.cluster);
    const many = first.length;
    await go(this.page, `#/cluster/${kept}`);
    await this.press("Rename");
    await this.page.getByRole("textbox", { name: "Name of the cluster" }).fill(NAME);
    await this.page.keyboard.press("Enter");
    await this.page.getByText(/^Renamed: the run takes it/).waitFor();
    await this.press("Pin");
    await this.page.getByText(/^Pinned: the run takes it/).waitFor();
    await this.more();
    await this.page.locator(".cluster-head h2").getByText(NAME).waitFor();
    await this.merges(merged, kept, many - 1);
    await go(this.page, `#/cluster/${kept}`);
    await this.does("Split", many);
    await this.merges(lost, kept, many - 1);
    await this.does("Undo", many);
    const ids = (await this.clusters()).map((one) => one.cluster);
    if (ids.includes(merged) || ids.includes(lost) || !ids.includes(kept)) problems.push(`hand: ${merged} and ${lost} went into ${kept}, and alive are ${ids}`);
    return kept;
  }

  async merges(one, into, left) {
    await go(this.page, `#/cluster/${one}`);
    await this.press("Merge");
    await this.page.getByRole("combobox", { name: "Merge into: id of the cluster" }).fill(String(into));
    await this.page.keyboard.press("Enter");
    await this.agrees(left);
  }

  async does(name, left) {
    await this.press(name);
    await this.agrees(left);
  }

  /** Looks at what it would do, says yes, and waits until so many clusters are alive. */
  async agrees(left) {
    await this.page.getByText(/[\d,]+ of the newest [\d,]+ pages would move/).waitFor();
    await this.press("Do it");
    await this.page.getByText(/: the run takes it at its next commit/).waitFor();
    await this.more();
    const { length } = await this.until((found) => found.length === left);
    if (length !== left) problems.push(`hand: ${length} clusters are alive, and not ${left}`);
  }

  async press(name) {
    await this.page.getByRole("button", { name, exact: true }).first().click();
  }
}
