// Light and dark: as the system has it, until one chooses; the choice is remembered. Drawings take their colours from here as
// plain values, so that a picture that is taken away looks as on the screen.
import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const KEY = "windrow-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(dark.matches);
dark.addEventListener("change", () => (systemIsDark.value = dark.matches));

function remembered(): Choice {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system";
  }
}

/** Paper is light. */
const paper = matchMedia("print");
const isPrinted = signal(paper.matches);
paper.addEventListener("change", () => (isPrinted.value = paper.matches));

export const choice = signal<Choice>(remembered());
export const isDark = computed(() => !isPrinted.value && (choice.value === "system" ? systemIsDark.value : choice.value === "dark"));

export function turn(): void {
  const next = { system: "light", light: "dark", dark: "system" } as const;
  choice.value = next[choice.value];
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // A browser that keeps nothing: the choice lasts as long as the page.
  }
}

effect(() => {
  document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
});

export interface Ink {
  surface: string;
  text: string;
  muted: string;
  grid: string;
  accent: string;
  /** What stands for "all others". */
  other: string;
  /** Okabe and Ito's colours for all eyes, carried on with Tol's "muted"; those too faint for the surface are darker or lighter. */
  series: string[];
}

const LIGHT: Ink = {
  surface: "#ffffff",
  text: "#1a2329",
  muted: "#56646d",
  grid: "#e1e6ea",
  accent: "#0b6b8a",
  other: "#8b979f",
  series: [
    "#0072b2", "#d55e00", "#009e73", "#b85c93", "#b87a00", "#3a8fc4", "#332288", "#882255", "#117733", "#87872a", "#aa4499",
    "#2f8f81", "#c25266", "#6f5bb0", "#8a5a2b", "#4f7a28", "#a3452a", "#3c6e9c", "#7a3fa0", "#5c6b73",
  ],
};

const DARK: Ink = {
  surface: "#151c21",
  text: "#e4eaee",
  muted: "#9fadb6",
  grid: "#2b363d",
  accent: "#56b9dc",
  other: "#7b8890",
  series: [
    "#56b4e9", "#e69f00", "#1fb58c", "#d98bb8", "#f0e442", "#e8743b", "#9a8cf0", "#d9688f", "#58b368", "#b5b545", "#cf7fc4",
    "#4fc0b0", "#e07f8f", "#88ccee", "#c99a6b", "#9cc46c", "#d98466", "#7fa8d1", "#b98be0", "#9aa9b2",
  ],
};

export const ink = computed<Ink>(() => (isDark.value ? DARK : LIGHT));

/** A colour for each of some clusters: the same one again next time, and no two alike as long as there are enough. */
export function colours(ids: number[], from: string[]): Map<number, string> {
  const given = new Map<number, string>();
  const taken = new Set<number>();
  for (const id of [...ids].sort((a, b) => a - b)) {
    let place = id % from.length;
    for (let tries = 0; taken.has(place) && tries < from.length; tries++) place = (place + 1) % from.length;
    taken.add(place);
    if (taken.size === from.length) taken.clear();
    given.set(id, from[place] ?? "#888888");
  }
  return given;
}
