// node page.mjs SHOTS NONE ONE MANY HOSTILE LIVE PID: looks at the page of five servers, and says what is wrong with it.
import { stranger } from "./asks.mjs";
import { counts, launch, problems } from "./browser.mjs";
import { hostile } from "./hostile.mjs";
import { keys } from "./keys.mjs";
import { live } from "./live.mjs";
import { tables } from "./tables.mjs";
import { charts, speeds, views } from "./views.mjs";

const [shots, none, one, many, evil, running, pid] = process.argv.slice(2);
const browser = await launch();
const parts = [
  ["views", () => views(browser, [["none", none], ["one", one], ["many", many]], shots)],
  ["charts", () => charts(browser, many)],
  ["tables", () => tables(browser, many)],
  ["keys", () => keys(browser, many)],
  ["stranger", () => stranger(browser, many)],
  ["hostile", () => hostile(browser, evil)],
  ["live", () => live(browser, running, Number(pid))],
  ["speeds", () => speeds(browser, many)],
];
for (const [name, look] of parts) {
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
