// How the page asks the server.
import type { Edit, Edited } from "./types";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** The server said no, or nothing. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export function path(route: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return `/api/v1${route}${text && `?${text}`}`;
}

async function refusal(answer: Response): Promise<Refused> {
  const said = (await answer.json().catch(() => ({}))) as { code?: string; message?: string; hint?: string };
  const message = said.message ?? `the server answered ${answer.status}`;
  return new Refused(said.code ?? `HTTP ${answer.status}`, message, said.hint ?? "", answer.status);
}

async function sent(to: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(to, { credentials: "same-origin", ...init }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused("unreachable", "the server does not answer", "is it still running? windrow serve --out DIR", 0);
  });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function ask<T>(to: string, signal?: AbortSignal): Promise<T> {
  return (await (await sent(to, { signal: signal ?? null })).json()) as T;
}

/** A change: only with the header that no other page can send. */
async function posted<T>(route: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json", "x-windrow": "1" };
  return (await (await sent(`/api/v1${route}`, { method: "POST", headers, body: JSON.stringify(body) })).json()) as T;
}

export const change = (route: string, body: unknown): Promise<Edited> => posted(route, body);
export const edit = (edit: Edit): Promise<Edited> => posted("/edits", edit);
/** What it would do; nothing is done. */
export const preview = (edit: Edit): Promise<Edited> => posted("/edits", { ...edit, dry_run: true });
