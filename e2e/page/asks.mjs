// What the page asks of the server: files no more often than they are committed, and nothing any more when it is not let in.
import { go, hide, open, pagesBeyond, problems } from "./browser.mjs";

/** Tables that are read from files. */
const FILES = /^\/api\/v1\/(pages|lineage|changes|rejects|status|map|clusters\/\d+\/pages)$/;
/** Pages that come meanwhile: some seconds' worth, in which the counts change many times. */
const PAGES = 20_000;

/** Beside a run: `page` is one of its server's. */
export async function asks(page) {
  const known = () => page.evaluate(async () => (await fetch("/api/v1/now")).json());
  const told = [];
  for (const view of ["pages", "status", "now?since=24h"]) {
    await go(page, `#/${view}`);
    const [before, asked] = [await known(), []];
    const note = (request) => FILES.test(new URL(request.url()).pathname) && asked.push(request.url());
    page.on("request", note);
    await pagesBeyond(page, before.pages + PAGES);
    page.off("request", note);
    const after = await known();
    // One more, as a commit may have been made right before.
    const commits = after.commit - before.commit + 1;
    if (asked.length > commits) problems.push(`asks: ${view} asked for files ${asked.length} times in ${commits} commits`);
    told.push(`${view} asked ${asked.length} times in ${after.sequence - before.sequence} changes`);
  }
  return told.join(", ");
}

/** Without its token the page is as much a stranger as after the server was started anew: it says so, and asks no more. */
export async function stranger(browser, url) {
  const { context, page } = await open(browser, url, () => "stranger", { allows: (text) => /status of 401/.test(text) });
  await go(page, "#/now");
  await context.clearCookies();
  await hide(page, true);
  await hide(page, false);
  await page.getByText(/The server was started anew, with another token: open the URL that it printed/).waitFor();
  let asked = 0;
  page.on("request", () => (asked += 1));
  for (let i = 0; i < 3; i++) {
    await hide(page, true);
    await hide(page, false);
  }
  // Its own question, the last one, is answered: none came before it.
  await page.evaluate(async () => (await fetch("/api/v1/now")).status);
  if (asked !== 1) problems.push(`stranger: the page asked ${asked - 1} times though nobody lets it in`);
  await context.close();
  return "it says that it is not let in, and asks no more";
}
