// A table asked of the server, and asked again when it may have changed. What is on the screen stays until the next answer is
// there: nothing blinks.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, Refused } from "./api";
import { paused, soon, tick } from "./live";

interface Held<T> {
  of: string;
  data: T;
}

/** The last answers, so that going back shows at once what was there. */
const kept = new Map<string, unknown>();
const KEPT_MOST = 40;

function keep(of: string, data: unknown): void {
  kept.delete(of);
  kept.set(of, data);
  const oldest = kept.keys().next();
  if (kept.size > KEPT_MOST && !oldest.done) kept.delete(oldest.value);
}

/** Tables that are asked for and not shown yet: the page is busy. */
export const awaited = signal(0);

export interface Answer<T> {
  data: T | undefined;
  error: Refused | undefined;
  /** Whether what is shown belongs to what was asked before. */
  old: boolean;
}

/** `of` is the path to ask, null for nothing. It is asked again when `moved` does: as the pipeline goes on, unless something else is given. */
export function useAnswer<T>(of: string | null, moved: unknown = tick.value): Answer<T> {
  const latest = useRef<Held<T> | undefined>(undefined);
  const [held, setHeld] = useState<Held<T>>();
  const [error, setError] = useState<Refused>();
  const asking = useRef<{ of: string; control: AbortController; again: boolean } | undefined>(undefined);

  useEffect(() => {
    if (of === null) return;
    if (asking.current?.of === of) {
      asking.current.again = true;
      return;
    }
    asking.current?.control.abort();
    const turn = async () => {
      const mine = { of, control: new AbortController(), again: false };
      asking.current = mine;
      const first = kept.has(of) ? 0 : 1;
      awaited.value += first;
      try {
        const data = await ask<T>(of, mine.control.signal);
        if (asking.current !== mine) return;
        keep(of, data);
        latest.current = { of, data };
        setError(undefined);
        // Paused, the same table stands still; another one is shown all the same.
        const show = () => setHeld((before) => (paused.peek() && before?.of === of ? before : { of, data }));
        if (first) show();
        else soon(show);
      } catch (error) {
        if (asking.current === mine && error instanceof Refused) setError(error);
      } finally {
        awaited.value -= first;
      }
      if (asking.current !== mine) return;
      asking.current = undefined;
      if (mine.again) await turn();
    };
    void turn();
  }, [of, moved]);
  useEffect(() => () => asking.current?.control.abort(), []);

  const stands = paused.value;
  useEffect(() => {
    if (!stands && latest.current) setHeld(latest.current);
  }, [stands]);

  if (of === null) return { data: undefined, error: undefined, old: false };
  const known = held?.of === of ? held.data : (kept.get(of) as T | undefined);
  return { data: known ?? held?.data, error, old: known === undefined };
}
