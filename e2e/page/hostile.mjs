// Texts that would run if anything let them: in titles, addresses, keywords, labels, a file's name, rejects, and in the address line.
import { readFileSync } from "node:fs";
import { firstCluster, go, open, problems, VIEWS } from "./browser.mjs";

const INJECTIONS = readFileSync(new URL("injections.txt", import.meta.url), "utf8").trim().split("\n");

export async function hostile(browser, url) {
  let now = "now";
  // Only what the address line asks for may be refused, and only by the routes that it leads to.
  let wrong = /^$/;
  const refused = (text, from) => /status of 400/.test(text) && wrong.test(new URL(from).pathname);
  const { context, page } = await open(browser, url, () => `hostile ${now}`, { allows: refused });
  const cluster = await firstCluster(page);
  for (now of VIEWS) {
    await go(page, now === "cluster" ? `#/cluster/${cluster}` : `#/${now}`);
    await unharmed(page, now);
    // Everything that unfolds, unfolded; everything under the pointer, hovered.
    for (const fold of await page.locator("main [aria-expanded=false], main summary").all()) if (await fold.isVisible()) await fold.click();
    await unharmed(page, `${now} unfolded`);
    if (now === "map") await page.mouse.move(600, 400);
  }
  wrong = /^\/api\/v1\/(pages|rejects)$/;
  for (const text of INJECTIONS) {
    now = `address ${text}`;
    const written = encodeURIComponent(text);
    for (const hash of [`#/pages?q=${written}`, `#/rejects?reason=${written}`]) {
      await go(page, hash);
      await unharmed(page, now);
    }
  }
  [now, wrong] = ["address of messages", /^\/api\/v1\/(messages|timeline)$/];
  await go(page, `#/messages?window=${encodeURIComponent(INJECTIONS[0])}&clock=%3Cscript%3E&as=%3C&sort=%22`);
  await unharmed(page, now);
  await context.close();
  return `${INJECTIONS.length} injections`;
}

/** No element that a text made, no link that leads elsewhere than to a page. */
async function unharmed(page, where) {
  const found = await page.evaluate(() => {
    const strange = "script:not([src]),iframe,object,embed,img,video,audio,style,base,meta[http-equiv],foreignObject,animate,marquee,template";
    const elements = [...document.querySelectorAll(`body ${strange.replaceAll(",", ",body ")}`)].map((one) => one.outerHTML.slice(0, 80));
    const links = [...document.querySelectorAll("a")].map((a) => a.getAttribute("href") ?? "").filter((href) => !/^(https?:\/\/|#|\/)/.test(href));
    const open = [...document.querySelectorAll('a[target="_blank"]')].filter((a) => a.rel !== "noopener noreferrer").map((a) => a.href);
    return [...elements, ...links, ...open];
  });
  for (const one of found) problems.push(`hostile ${where}: ${one}`);
}
