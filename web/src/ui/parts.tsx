// Small things that all views share.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { path, type Query, type Refused } from "../api";
import { count, httpUrl, local, utc } from "../format";
import { toCluster } from "../place";

/** A stranger's text: text and nothing else, in its own direction, set apart from what stands around it. */
export function Text({ of, class: name }: { of: string | null | undefined; class?: string }) {
  return (
    <bdi dir="auto" class={name}>
      {of ?? ""}
    </bdi>
  );
}

export function Time({ of, seconds = true }: { of: string | null | undefined; seconds?: boolean }) {
  if (!of) return <span class="faint">no time</span>;
  const date = new Date(of);
  return (
    <time dateTime={of} title={utc(date)}>
      {local(date, seconds)}
    </time>
  );
}

/** A page's title, which leads to the page where its address is one. */
export function PageLink({ url, title }: { url: string | null; title: string | null }) {
  const href = httpUrl(url);
  const shown = title?.trim() ? title : (url ?? "");
  if (!shown) return <span class="faint">no title</span>;
  if (href === null) return <Text of={shown} class="clip" />;
  return (
    <a class="clip" href={href} target="_blank" rel="noopener noreferrer" title={href}>
      <Text of={shown} />
    </a>
  );
}

export function ClusterLink({ id, label }: { id: number; label: string }) {
  return (
    <a class="cluster-link" href={toCluster(id)}>
      <span class="id">{id}</span>
      <Text of={label || "no label yet"} />
    </a>
  );
}

export function Notice({ kind = "info", children }: { kind?: "info" | "warn" | "bad"; children: ComponentChildren }) {
  const sign = { info: "i", warn: "!", bad: "×" }[kind];
  return (
    <div class={`notice ${kind}`} role="status">
      <span class="sign" aria-hidden="true">
        {sign}
      </span>
      <div>{children}</div>
    </div>
  );
}

export function Trouble({ error }: { error: Refused | undefined }) {
  if (!error) return null;
  return (
    <Notice kind="bad">
      <strong>{error.code}</strong>: <Text of={error.message} />
      {error.hint && (
        <>
          {" "}
          — <Text of={error.hint} />
        </>
      )}
    </Notice>
  );
}

/** A command or query that may be taken along. */
export function Copy({ text, name }: { text: string; name: string }) {
  const [said, setSaid] = useState("");
  const code = useRef<HTMLElement>(null);
  useEffect(() => {
    const timer = setTimeout(() => setSaid(""), 2_000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("copied");
    } catch {
      // Without a secure origin there is no clipboard: the text is selected instead.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setSaid("selected: press Ctrl+C");
    }
  };
  return (
    <div class="copy">
      <span class="copy-name">{name}</span>
      <code ref={code} tabIndex={0}>
        {text}
      </code>
      <button type="button" onClick={() => void copy()} aria-label={`${said || "Copy"}: ${name}`}>
        {said || "Copy"}
      </button>
    </div>
  );
}

/** Rows of a CSV at most, as the server has it. */
const CSV_MOST = 100_000;

interface CsvProps {
  file: string;
  route: string;
  query: Query;
  /** Rows there are. */
  total: number | undefined;
  /** Whether it is what the key takes along. */
  main?: boolean;
}

/** A table as CSV: all of it, or the newest rows where there may be more, which is said. */
export function CsvLink({ file, route, query, total, main = true }: CsvProps) {
  return (
    <a class="button" href={path(route, { ...query, limit: CSV_MOST, format: "csv" })} download={`${file}.csv`} data-export={main || undefined}>
      {(total ?? 0) > CSV_MOST ? `CSV (${count(CSV_MOST)} at most)` : "CSV"}
    </a>
  );
}

/** What to do when there is nothing to see. */
export function Empty({ title, children, command }: { title: string; children?: ComponentChildren; command?: string | undefined }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
      {command && <Copy name="Run" text={command} />}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  name: string;
  value: T;
  of: readonly (readonly [T, string])[];
  onChoose: (value: T) => void;
}

/** One of a few: buttons in a row. */
export function Choice<T extends string>({ name, value, of, onChoose }: ChoiceProps<T>) {
  return (
    <div class="choice" role="group" aria-label={name}>
      {of.map(([key, label]) => (
        <button key={key} type="button" aria-pressed={key === value} onClick={() => onChoose(key)}>
          {label}
        </button>
      ))}
    </div>
  );
}

export function Search({ value, hint, onSearch, name = "Search" }: { value: string; hint: string; onSearch: (text: string) => void; name?: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const submit = (event: Event) => {
    event.preventDefault();
    onSearch(text.trim());
  };
  return (
    <form class="search" role="search" aria-label={name} onSubmit={submit}>
      <input
        type="search"
        data-search
        aria-label={name}
        placeholder={hint}
        value={text}
        autocomplete="off"
        spellcheck={false}
        dir="auto"
        onInput={(event) => {
          setText(event.currentTarget.value);
          if (event.currentTarget.value === "") onSearch("");
        }}
      />
      <button type="submit">Find</button>
    </form>
  );
}

/** Width of an element, as it changes. */
export function useWidth<E extends Element>(): [{ current: E | null }, number] {
  const element = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element.current) return;
    const watch = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return [element, width];
}
