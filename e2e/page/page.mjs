// node page.mjs SHOTS WINDROW DIR SECONDS ONLY NONE ONE MANY HOSTILE: looks at the page of four servers and of those that it starts itself in DIR,
// one of them for so many seconds; only some parts, when ONLY names them. Says what is wrong with it.
import { join } from "node:path";
import { stranger } from "./asks.mjs";
import { counts, launch, problems } from "./browser.mjs";
import { first } from "./demo.mjs";
import { hand } from "./hand.mjs";
import { hostile } from "./hostile.mjs";
import { keys } from "./keys.mjs";
import { live } from "./live.mjs";
import { stopped } from "./stopped.mjs";
import { tables } from "./tables.mjs";
import { topics } from "./topics.mjs";
import { charts, printed, speeds, views } from "./views.mjs";

const [shots, windrow, dir, seconds, only, none, one, many, evil] = process.argv.slice(2);
const browser = await launch();
const parts = [
  ["views", () => views(browser, [["none", none], ["one", one], ["many", many]], shots)],
  ["charts", () => charts(browser, many)],
  ["tables", () => tables(browser, many)],
  ["keys", () => keys(browser, many)],
  ["stranger", () => stranger(browser, many)],
  ["hostile", () => hostile(browser, evil)],
  ["live", () => live(browser, windrow, join(dir, "live"), Number(seconds))],
  ["stopped", () => stopped(browser, windrow, join(dir, "stopped"), shots)],
  ["hand", () => hand(browser, windrow, join(dir, "hand"))],
  ["topics", () => topics(browser, windrow, dir)],
  ["demo", () => first(browser, windrow, join(dir, "demo"), shots)],
  ["printed", () => printed(browser, many, shots)],
  ["speeds", () => speeds(browser, many)],
];
const wanted = only ? only.split(",") : parts.map(([name]) => name);
for (const [name, look] of parts.filter(([name]) => wanted.includes(name))) {
  try {
    console.log(`page: ${name}: ${await look()}`);
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
}
await browser.close();
for (const problem of [...new Set(problems)].slice(0, 60)) console.log(`page: ${problem}`);
console.log(`page: ${counts.pages} views seen; dialogs ${counts.dialogs}, foreign requests ${counts.foreign}, policy ${counts.policy}, console errors ${counts.console}, problems ${problems.length}`);
process.exit(problems.length === 0 ? 0 : 1);
