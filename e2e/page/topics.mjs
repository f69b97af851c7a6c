// Pages that go to topics too: the lines that one takes along say which topic, and are whole words for a shell.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstCluster, go, open, problems } from "./browser.mjs";
import { Pipeline } from "./pipeline.mjs";

const SERVERS = "it's a broker:9092";

export async function topics(browser, windrow, dir) {
  const said = [];
  for (const kind of ["topics", "keyed"]) {
    const settings = join(dir, `${kind}.toml`);
    writeFileSync(settings, `[kafka]\nbootstrap.servers = "${SERVERS}"\n[output]\nkafka = "${kind}"\ntopic_prefix = "group-"\nkeyed_topic = "all-groups"\n`);
    const server = await Pipeline.served(windrow, ["serve", "--quiet", "--config", settings, "--out", join(dir, "many")]);
    const { context, page } = await open(browser, server.url, () => `topics ${kind}`);
    const id = await firstCluster(page);
    await go(page, `#/cluster/${id}`);
    const { slot } = await page.evaluate(async (id) => (await fetch(`/api/v1/clusters/${id}`)).json(), id);
    const topic = kind === "keyed" ? "all-groups" : `group-${slot}`;
    const [readers, keyed] = kind === "keyed" ? [["-K", ":"], ["--property", "print.key=true", "--property", "key.separator=:"]] : [[], []];
    await same(page, "kcat", id, ["-b", SERVERS, "-t", topic, "-C", "-e", "-X", "isolation.level=read_committed", ...readers]);
    await same(page, "Kafka", id, ["--bootstrap-server", SERVERS, "--topic", topic, "--from-beginning", "--isolation-level", "read_committed", ...keyed]);
    said.push(topic);
    await context.close();
    await server.end("SIGKILL");
  }
  return `lines for ${said.join(" and ")}`;
}

/** The words that a shell makes of a line, up to what picks one cluster from a topic of all. */
async function same(page, name, id, wanted) {
  const copy = page.locator(".copy", { has: page.getByText(name, { exact: true }) });
  const [line, picks] = (await copy.locator("code").innerText()).split(" | ");
  const words = execFileSync("sh", ["-c", line.replace(/^\S+/, "printf '%s\\n'")], { encoding: "utf8" }).trimEnd().split("\n");
  const good = JSON.stringify(words) === JSON.stringify(wanted) && (wanted.includes("all-groups") ? picks === `grep '^${id}:'` : picks === undefined);
  if (!good) problems.push(`topics: ${name}: ${line} | ${picks}`);
}
