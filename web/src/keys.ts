// Keys: everything that a mouse does, for those who have none at hand.
import { signal } from "@preact/signals";
import { pause } from "./live";
import { asTable, choose, chosen, go, place, to, type View } from "./place";
import { turn } from "./theme";

export const helpIsOpen = signal(false);

/** Where `g` and another key lead. */
export const WAYS: [string, View, string][] = [
  ["n", "now", "Now"],
  ["c", "now", "Clusters (in Now)"],
  ["b", "messages", "Messages"],
  ["o", "domains", "Domains"],
  ["m", "map", "Map"],
  ["r", "pages", "Pages"],
  ["d", "rejects", "Rejects"],
  ["l", "status", "Status"],
];

/** All other keys, with what they do. */
export const KEYS: [string, string][] = [
  ["/", "go to the search field"],
  ["j k", "next, previous row"],
  ["Enter", "open it"],
  ["w", "why is the page of this row here"],
  ["Esc", "close, or go back to Now"],
  ["p", "pause; what comes in is kept"],
  ["t", "drawings as tables, and back"],
  ["e", "take the table along as CSV"],
  [".", "light, dark, as the system has it"],
  ["?", "this list"],
];

let led = false;

function rows(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("main [data-row]")];
}

function target(row: HTMLElement): HTMLElement | SVGElement | null {
  return row.matches("a, button") ? row : row.querySelector<HTMLElement>("a, button");
}

function step(by: number): void {
  const all = rows();
  const here = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + by))];
  const element = next && target(next);
  element?.focus();
  element?.scrollIntoView({ block: "nearest" });
}

function why(): void {
  const row = rows().find((row) => row.contains(document.activeElement)) ?? rows().find((row) => row.querySelector("button.why"));
  row?.querySelector<HTMLElement>("button.why")?.click();
}

function back(): void {
  if (chosen("why")) choose({ why: null });
  else if (place.value.view === "cluster") go(to("now"));
  else (document.activeElement as HTMLElement | null)?.blur();
}

const ACTS: Record<string, () => void> = {
  "/": () => document.querySelector<HTMLElement>("main [data-search]")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  w: why,
  p: pause,
  t: () => choose({ table: asTable.value ? null : 1 }),
  e: () => document.querySelector<HTMLElement>("main [data-export]")?.click(),
  ".": turn,
  "?": () => (helpIsOpen.value = true),
  Escape: back,
};

export function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const writes = (event.target as Element).closest("input, textarea, select");
  if (writes) {
    if (event.key === "Escape") (writes as HTMLElement).blur();
    return;
  }
  const way = led && WAYS.find(([key]) => key === event.key);
  led = event.key === "g";
  if (led) return;
  const act = way ? () => go(to(way[1])) : ACTS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
