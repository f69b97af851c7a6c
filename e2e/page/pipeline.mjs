// Pipelines that a check starts, and that end with us.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

export class Pipeline {
  /** `output` is what to do with what it says: "pipe" when its first line is wanted. */
  constructor(program, args, output = "ignore") {
    this.began = performance.now();
    this.child = spawn(program, args, { stdio: ["ignore", output, "ignore"] });
    this.ended = once(this.child, "exit").then(() => children.delete(this.child));
    children.add(this.child);
  }

  /** One that serves itself, with its URL. */
  static async served(program, args) {
    const pipeline = new Pipeline(program, [...args, "--listen", "127.0.0.1:0"], "pipe");
    [pipeline.url] = await once(createInterface({ input: pipeline.child.stdout }), "line");
    return pipeline;
  }

  async end(signal) {
    this.child.kill(signal);
    await this.ended;
  }

  seconds() {
    return (performance.now() - this.began) / 1000;
  }
}

/** A demo without an end, which checks that die do not leave behind for long. */
export const demo = (windrow, out, rate) => Pipeline.served(windrow, ["demo", "--quiet", "--rows", "0", "--seconds", "600", "--rate", String(rate), "--out", out]);
