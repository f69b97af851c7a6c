// What is known now, kept up to date by the server's events.
//
//   events, answers ──> heard ──(at most 4 times a second)──> shown        paused: heard goes on, shown stands still
//
// Tables are not pushed: `tick` says when it is worth asking again. A hidden page lets go of the stream and asks every 10 s.
import { batch, computed, signal } from "@preact/signals";
import { ask, path, Refused } from "./api";
import type { Cluster, Clusters, Now } from "./types";

const REDRAW_MS = 250;
const TICK_MS = 1_000;
const HIDDEN_MS = 10_000;
/** Silence after which one asks whether anybody is there. */
const QUIET_MS = 15_000;
const RETRY_MS = 2_000;

interface Known {
  now: Now | null;
  clusters: Map<number, Cluster>;
}

let heard: Known = { now: null, clusters: new Map() };
const shown = signal<Known>(heard);
export const paused = signal(false);
/** Changes that came in while paused. */
export const missed = signal(0);
/** When the server was last heard of, if it is not heard of any more. */
export const silentSince = signal<number | null>(null);
/** Whether the server does not know us any more: it was started anew, with another token. */
export const isStranger = signal(false);
/** Moves when tables may have changed. */
export const tick = signal(0);
/** Moves when what is committed has changed, or how the run stands: what is read from files is asked for no sooner. */
export const commits = signal("");
export const loaded = computed(() => shown.value.now !== null);
export const now = computed(() => shown.value.now);
export const clusters = computed(() => [...shown.value.clusters.values()].sort((a, b) => b.delivered - a.delivered || a.cluster - b.cluster));

let lastWord = Date.now();
let source: EventSource | null = null;
let redraw: ReturnType<typeof setTimeout> | undefined;
let ticking: ReturnType<typeof setTimeout> | undefined;

function word(): void {
  lastWord = Date.now();
  silentSince.value = null;
}

/** What went wrong, when a question was not answered. Trying goes on, unless we are not let in any more. */
function silence(error?: unknown): void {
  silentSince.value ??= lastWord;
  if (!(error instanceof Refused) || (error.status !== 401 && error.status !== 403)) return;
  isStranger.value = true;
  source?.close();
}

let waiting: (() => void)[] = [];

function show(): void {
  clearTimeout(redraw);
  redraw = undefined;
  const acts = waiting;
  waiting = [];
  batch(() => {
    if (!paused.value) shown.value = heard;
    for (const act of acts) act();
  });
}

/** Does something that changes the screen, together with all else that is to change. */
export function soon(act: () => void): void {
  waiting.push(act);
  redraw ??= setTimeout(show, REDRAW_MS);
}

function hear(part: Partial<Known>): void {
  const before = heard.now;
  heard = { ...heard, ...part };
  if (paused.value) missed.value += 1;
  redraw ??= setTimeout(show, shown.value.now === null ? 0 : REDRAW_MS);
  const has = part.now && (part.now.sequence !== before?.sequence || part.now.commit !== before?.commit);
  if (has) ticking ??= setTimeout(beat, document.hidden ? HIDDEN_MS : TICK_MS);
}

function beat(): void {
  ticking = undefined;
  batch(() => {
    tick.value += 1;
    commits.value = `${heard.now?.commit} ${heard.now?.standing.is}`;
  });
}

export function pause(): void {
  paused.value = !paused.value;
  missed.value = 0;
  show();
}

async function reload(): Promise<void> {
  // One after the other: what changes between the two is in the clusters, and comes again with the events.
  const first = await ask<Now>(path("/now"));
  const all = await ask<Clusters>(path("/clusters"));
  word();
  hear({ now: first, clusters: new Map(all.clusters.map((cluster) => [cluster.cluster, cluster])) });
}

/** Whether we were away for too long: the next clusters are all there are. */
let anew = false;

function merge(text: string): void {
  const delta = JSON.parse(text) as { clusters: (Partial<Cluster> & { cluster: number })[]; gone?: number[] };
  const next = new Map(anew ? [] : heard.clusters);
  anew = false;
  // Of a cluster that was never told whole its counts alone say nothing.
  if (delta.clusters.some((cluster) => cluster.terms === undefined && !next.has(cluster.cluster))) return void start();
  for (const cluster of delta.clusters) next.set(cluster.cluster, { ...next.get(cluster.cluster), ...cluster } as Cluster);
  for (const gone of delta.gone ?? []) next.delete(gone);
  hear({ clusters: next });
}

function listen(): void {
  source?.close();
  source = new EventSource(path("/events", { after: heard.now?.sequence }));
  const on = (name: string, act: (text: string) => void) =>
    source?.addEventListener(name, (event) => {
      word();
      act((event as MessageEvent<string>).data);
    });
  on("now", (text) => hear({ now: JSON.parse(text) as Now }));
  on("clusters", merge);
  on("reset", () => (anew = true));
  source.addEventListener("open", word);
  source.addEventListener("error", () => {
    silence();
    // A browser gives up for good when the answer is no stream.
    if (source?.readyState === EventSource.CLOSED) setTimeout(() => void start(), RETRY_MS);
  });
}

let starting = false;

/** Loads everything and listens from there on; tries until it is there. */
export async function start(): Promise<void> {
  if (starting || isStranger.value) return;
  starting = true;
  source?.close();
  try {
    await reload();
    if (!document.hidden) listen();
  } catch (error) {
    silence(error);
    setTimeout(() => void start(), RETRY_MS);
  } finally {
    starting = false;
  }
}

/** Asks whether the server is there when it has been quiet. */
async function probe(): Promise<void> {
  const quiet = document.hidden ? HIDDEN_MS : QUIET_MS;
  if (Date.now() - lastWord < quiet - 100 || starting || isStranger.value) return;
  try {
    const asked = await ask<Now>(path("/now"));
    word();
    hear({ now: asked });
  } catch (error) {
    silence(error);
  }
}

export function begin(): void {
  void start();
  setInterval(() => void probe(), HIDDEN_MS / 2);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source?.close();
    else void start();
  });
}
