// Pages: those that fit a filter, newest first, or as they come.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ask, path, Refused } from "../api";
import { useAnswer } from "../answer";
import { count, score } from "../format";
import { commits, now, paused } from "../live";
import { choose, chosen } from "../place";
import type { Page, Pages } from "../types";
import { ClusterLink, CsvLink, Notice, PageLink, Search, Text, Time, Trouble } from "../ui/parts";
import { Table } from "../ui/table";
import { WhyButton } from "./cluster";
import { NothingYet } from "./nothing";
import { Why } from "./why";

const GRAMMAR = 'cluster:7 host:*.example.org title~"sale" url~shop after:-1h before:2024-01-01 score<0.5 novel:true id:123';
const LIMIT = 100;
/** Rows that a browser shows with ease. */
const ROWS_MOST = 1_000;

export function PagesView() {
  const [q, follows] = [chosen("q"), chosen("follow") === "1"];
  if (now.value?.pages === 0) return <NothingYet />;
  return (
    <>
      <section class="panel" aria-label="Pages">
        <header class="figure-head">
          <h2>Pages</h2>
          <div class="tools grow">
            <Search name="Filter of pages" value={q} hint={GRAMMAR} onSearch={(q) => choose({ q, why: null })} />
            <button type="button" aria-pressed={follows} onClick={() => choose({ follow: follows ? null : 1 })}>
              {follows ? "Stop following" : "Follow"}
            </button>
            <CsvLink file="pages" route="/pages" query={{ q }} total={now.value?.pages} />
          </div>
        </header>
        <p class="faint grammar">
          All words must fit: <code>cluster:7</code> <code>host:*.co.il</code> <code>title~"sale"</code> <code>url~shop</code> <code>id:123</code> <code>after:-1h</code>{" "}
          <code>score&lt;0.5</code> <code>novel:true</code>; a bare word is looked for in all texts.
        </p>
        <Why />
        {follows ? <Follow q={q} /> : <Found key={q} q={q} />}
      </section>
    </>
  );
}

function Found({ q }: { q: string }) {
  const first = useAnswer<Pages>(path("/pages", { q, limit: LIMIT }), commits.value);
  const [more, setMore] = useState<Pages[]>([]);
  const [error, setError] = useState<Refused>();
  const data = first.old ? undefined : first.data;
  const all = data ? joined([data, ...more]) : [];
  const last = more[more.length - 1] ?? data;
  const older = async () => {
    try {
      const next = await ask<Pages>(path("/pages", { q, limit: LIMIT, before: last?.next }));
      setMore((before) => [...before, next]);
    } catch (error) {
      if (error instanceof Refused) setError(error);
    }
  };
  const read = data ? data.read + more.reduce((sum, one) => sum + one.read, 0) : 0;
  return (
    <>
      <Trouble error={first.error ?? error} />
      {!data && !first.error && <p class="faint">reading…</p>}
      {data && all.length === 0 && (
        <p class="faint">{last?.next ? "No page fits so far: look further back." : "No page fits. A word less, or another one?"}</p>
      )}
      {all.length > 0 && <PageTable pages={all.slice(0, ROWS_MOST)} cluster />}
      {data && (
        <p class="foot">
          <span class="faint">
            {count(all.length)} shown, {count(read)} of {count(data.total)} pages read
          </span>
          {last?.next && all.length < ROWS_MOST && (
            <button type="button" onClick={() => void older()}>
              Older
            </button>
          )}
        </p>
      )}
    </>
  );
}

/** Parts one after the other; a page that newer ones pushed from one part into the next stands once. */
function joined(parts: Pages[]): Page[] {
  const all = new Map<string, Page>();
  for (const page of parts.flatMap((part) => part.pages)) if (!all.has(page.record_id)) all.set(page.record_id, page);
  return [...all.values()];
}

const TAIL_MOST = 200;
const REDRAW_MS = 250;

/** Pages as they come: the newest stay, and those passed over are counted. */
function Follow({ q }: { q: string }) {
  const [tail] = useState(() => signal<Page[]>([]));
  const [came] = useState(() => signal(0));
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    let heard: Page[] = [];
    let n = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      if (paused.peek()) return;
      tail.value = heard;
      came.value = n;
    };
    const source = new EventSource(path("/pages/stream", { q, as: "sse", last: 20 }));
    const take = (event: MessageEvent<string>) => {
      const said = JSON.parse(event.data) as Page | Pages;
      const fresh = "pages" in said ? said.pages : [said];
      n += fresh.length;
      heard = [...fresh.reverse(), ...heard].slice(0, TAIL_MOST);
      timer ??= setTimeout(show, REDRAW_MS);
    };
    for (const name of ["message", "page", "pages"]) source.addEventListener(name, take as (event: Event) => void);
    source.addEventListener("open", () => setBroken(false));
    source.addEventListener("error", () => setBroken(true));
    const resume = paused.subscribe((stands) => !stands && show());
    return () => {
      source.close();
      clearTimeout(timer);
      resume();
    };
  }, [q]);
  const shown = tail.value;
  return (
    <>
      {broken && <Notice kind="warn">The stream of pages does not answer; it is tried again.</Notice>}
      {shown.length === 0 && <p class="faint">Waiting for pages that fit. They come with each commit.</p>}
      {shown.length > 0 && <PageTable pages={shown} cluster />}
      <p class="foot faint" role="status">
        {count(shown.length)} of {count(came.value)} pages shown{came.value > shown.length ? `, ${count(came.value - shown.length)} passed by` : ""}
      </p>
    </>
  );
}

export function PageTable({ pages, cluster }: { pages: Page[]; cluster: boolean }) {
  const [open, setOpen] = useState<string>();
  const columns = [
    { name: "Time", class: "wide-only" },
    { name: "Page" },
    { name: "Main domain", class: "wide-only" },
    ...(cluster ? [{ name: "Cluster" }] : []),
    { name: "Score", right: true, class: "wide-only" },
    { name: "" },
  ];
  const rows = pages.map((page) => ({
    key: page.record_id,
    cells: [
      <Time of={page.creation_time} seconds={false} />,
      <span class="named">
        <PageLink url={page.url} title={page.title} />
        {page.novel && <span class="tag">novel</span>}
      </span>,
      <Text of={page.domain} class="clip domain" />,
      ...(cluster ? [<ClusterLink id={page.cluster} label={page.label} />] : []),
      score(page.score),
      <span class="row-tools">
        <WhyButton of={page.record_id} title={page.title} />
        <button type="button" class="why" aria-expanded={open === page.record_id} aria-label={`All of it: ${page.title ?? page.record_id}`} onClick={() => setOpen(open === page.record_id ? undefined : page.record_id)}>
          all
        </button>
      </span>,
    ],
    below: open === page.record_id && <Whole page={page} />,
  }));
  return <Table name="Pages" columns={columns} rows={rows} />;
}

function Whole({ page }: { page: Page }) {
  return (
    <dl class="facts whole">
      {Object.entries(page).map(([name, value]) => [
        <dt key={name}>{name.replaceAll("_", " ")}</dt>,
        <dd key={`${name} is`}>{value === null ? <span class="faint">none</span> : <Text of={String(value)} />}</dd>,
      ])}
    </dl>
  );
}
