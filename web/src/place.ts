// Where one is: the view and all that was chosen in it stand in the address, so that a link shows the same and the back
// button goes back.
import { computed, signal } from "@preact/signals";

export const VIEWS = ["now", "messages", "domains", "map", "cluster", "pages", "rejects", "status"] as const;
export type View = (typeof VIEWS)[number];

export interface Place {
  view: View;
  /** Of a cluster. */
  id: number | null;
  query: URLSearchParams;
}

type Params = Record<string, string | number | null | undefined>;

export function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name, id] = path.split("/");
  const view = VIEWS.find((known) => known === name) ?? "now";
  const number = id !== undefined && /^\d{1,15}$/.test(id) ? Number(id) : null;
  return { view: view === "cluster" && number === null ? "now" : view, id: number, query: new URLSearchParams(query) };
}

function written(view: View, id: number | null, query: URLSearchParams): string {
  const path = id === null ? view : `${view}/${id}`;
  const rest = query.toString();
  return `#/${path}${rest && `?${rest}`}`;
}

export const place = signal(parse(location.hash));
addEventListener("popstate", () => (place.value = parse(location.hash)));
addEventListener("hashchange", () => (place.value = parse(location.hash)));

/** What goes with one from view to view. */
const KEPT = ["clock"];

function changed(query: URLSearchParams, params: Params): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, String(value));
  }
  return next;
}

/** The address of another view. */
export function to(view: View, params: Params = {}, id: number | null = null): string {
  const kept = new URLSearchParams([...place.value.query].filter(([name]) => KEPT.includes(name)));
  return written(view, id, changed(kept, params));
}

export const toCluster = (id: number): string => to("cluster", {}, id);

export function go(hash: string): void {
  location.hash = hash;
}

/** Changes what was chosen in this view; `step` makes it something that the back button undoes. */
export function choose(params: Params, step = true): void {
  const { view, id, query } = place.value;
  const hash = written(view, id, changed(query, params));
  if (hash === location.hash) return;
  if (step) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
  place.value = parse(hash);
}

export const chosen = (name: string, otherwise = ""): string => place.value.query.get(name) ?? otherwise;

export const asTable = computed(() => place.value.query.get("table") === "1");
