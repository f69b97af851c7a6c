// An output whose runs ended in every way: read to the end, killed, told to stop, failed. The page of `windrow serve` says when and why,
// and gives the command that goes on; the drawing over time has gaps where nothing ran.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { go, open, pagesBeyond, problems } from "./browser.mjs";
import { Pipeline } from "./pipeline.mjs";

const HEAD = "creation_time,id,url,title,keywords,description\n";
const A_TIME = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d";

export async function stopped(browser, windrow, dir, shots) {
  mkdirSync(dir, { recursive: true });
  const [out, few, other] = [join(dir, "out"), join(dir, "few's.csv"), join(dir, "other.csv")];
  writeFileSync(few, `${HEAD}2023-05-17T20:21:51Z,7,https://a.example.org/x,One page alone,one alone,Nothing stands beside it\n`);
  writeFileSync(other, `${HEAD}2023-05-17T20:21:51Z,8,https://a.example.org/y,Another page,another,It was never read\n`);
  const run = (inputs) => new Pipeline(windrow, ["run", "--quiet", "--no-serve", "--roll-rows", "5000", "--out", out, "--input", ...inputs]);
  await run([few]).ended;
  const server = await Pipeline.served(windrow, ["serve", "--quiet", "--out", out]);
  const { context, page } = await open(browser, server.url, () => "stopped");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await says(page, `The run stopped ${A_TIME}: it had read all of its input`);

  await aSecondPasses(page);
  const long = run([few, "generator:rows=5000000,seed=7"]);
  await pagesBeyond(page, 10_000);
  await long.end("SIGKILL");
  await says(page, `The run was killed: nobody knows why, or when\\. Its last commit was ${A_TIME}`);

  // The command is taken as people take it: copied, and given to a shell.
  await page.locator(".notice .copy button").click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  await aSecondPasses(page);
  const known = await pages(page);
  const again = new Pipeline("sh", ["-c", `PATH='${dirname(windrow)}':$PATH; ${command}`]);
  await pagesBeyond(page, known + 10_000);
  process.kill(await page.evaluate(async () => (await (await fetch("/api/v1/now")).json()).standing.pid), "SIGTERM");
  await again.ended;
  await says(page, `The run stopped ${A_TIME}: it was told to stop`);

  await run([other]).ended;
  await says(page, `The run stopped ${A_TIME}: E-INPUT-UNRELATED: none of the inputs`);
  const gaps = await drawnAsGaps(page);
  await page.screenshot({ path: `${shots}/stopped.png`, fullPage: true });
  await context.close();
  await server.end("SIGKILL");
  return `four ends told, ${gaps} gaps drawn`;
}

async function says(page, pattern) {
  await page.waitForFunction((pattern) => [...document.querySelectorAll("main .notice")].some((one) => new RegExp(pattern).test(one.innerText)), pattern).catch(async () => {
    problems.push(`stopped: not said: ${pattern}: ${await page.locator("main .notice").allInnerTexts()}`);
  });
}

const pages = (page) => page.evaluate(async () => (await (await fetch("/api/v1/now")).json()).pages);

/** The narrowest part of a drawing is a second: a gap has one of its own. */
async function aSecondPasses(page) {
  const now = Date.now();
  await page.waitForFunction((until) => Date.now() > until, now + 2_500);
}

/** Every gap is grey, and no shape reaches over it; on both sides there are shapes. */
async function drawnAsGaps(page) {
  let gaps = 0;
  for (const style of ["stacked", "lines", "small"]) {
    await go(page, `#/messages?clock=arrival&as=${style}`);
    const seen = await page.evaluate(() => {
      const svg = [...document.querySelectorAll("main .figure svg")].find((one) => one.querySelector("[data-gap]"));
      const number = (element, name) => Number(element.getAttribute(name));
      const gaps = [...(svg?.querySelectorAll("[data-gap]") ?? [])].map((rect) => ({ why: rect.dataset.gap, panel: rect.parentNode.parentNode.parentNode, from: number(rect, "x"), to: number(rect, "x") + number(rect, "width") }));
      return gaps.map(({ why, panel, from, to }) => {
        const strokes = [...panel.querySelectorAll(":scope > path")].flatMap((path) => path.getAttribute("d").split("M").slice(1));
        const spans = strokes.map((stroke) => [...`L${stroke}`.matchAll(/L([\d.]+),/g)].map(([, x]) => Number(x))).map((all) => [Math.min(...all), Math.max(...all)]);
        return { why, over: spans.some(([a, b]) => a < from && b > to), before: spans.some(([a]) => a <= from), after: spans.some(([, b]) => b >= to) };
      });
    });
    // Small pictures have each gap once more each.
    gaps ||= seen.length;
    const reasons = seen.map((gap) => gap.why).join();
    if (!/end of input/.test(reasons) || !/killed/.test(reasons)) problems.push(`stopped: gaps of ${style}: ${reasons || "none"}`);
    for (const gap of seen) if (gap.over) problems.push(`stopped: ${style} is drawn over the gap (${gap.why})`);
    if (!seen.some((gap) => gap.before) || !seen.some((gap) => gap.after)) problems.push(`stopped: ${style} has nothing beside its gaps`);
    await page.getByText(/grey: nothing ran \(.*killed/).waitFor();
  }
  return gaps;
}
