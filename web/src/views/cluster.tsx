// One cluster: what it is, who speaks for it, what it is near to, what became of it, and the way to take it along.
import { Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { change, path, Refused } from "../api";
import { useAnswer } from "../answer";
import { Spark } from "../charts/spark";
import { count, counted, percent, quoted, score, sqlText } from "../format";
import { commits, now } from "../live";
import { choose, chosen, place, to, toCluster } from "../place";
import type { Cluster, Copied, Drift, Edit, Example, Lineage, Measure, Pages } from "../types";
import { ClusterLink, Copy, CsvLink, Empty, Notice, PageLink, Text, Trouble } from "../ui/parts";
import { Table } from "../ui/table";
import { done, Hand, Other } from "./hand";
import { ShareBar } from "./now";
import { ClockChoice, TimeFigure } from "./messages";
import { PageTable } from "./pages";
import { Why } from "./why";

export function ClusterView() {
  const id = place.value.id ?? 0;
  const { data, error, old } = useAnswer<Cluster>(path(`/clusters/${id}`));
  const [asked, setAsked] = useState<Edit>();
  useEffect(() => setAsked(undefined), [id]);
  if (error && (!data || old)) return <Trouble error={error} />;
  if (!data || old) return <p class="faint">asking…</p>;
  const isDead = data.state === "dead";
  return (
    <>
      {isDead ? <Gone id={id} data={data} onAsk={setAsked} /> : <Head data={data} onAsk={setAsked} />}
      {/* What is asked, and what became of it, stays in view when the cluster ends by it. */}
      <Hand key={id} asked={asked} onEnd={() => setAsked(undefined)} />
      {isDead ? <Left id={id} data={data} /> : <About id={id} data={data} />}
    </>
  );
}

interface AskProps {
  data: Cluster;
  onAsk: (edit: Edit) => void;
}

interface OneProps {
  id: number;
  data: Cluster;
}

function About({ id, data }: OneProps) {
  return (
    <>
      <Why />
      <div class="cluster-grid">
        <Facts data={data} />
        <Examples data={data} />
      </div>
      <div class="cluster-grid">
        <Patterns data={data} />
        <Copies data={data} />
      </div>
      <div class="bar-of-tools">
        <ClockChoice />
      </div>
      <TimeFigure title="Pages over time" top={1} cluster={id} />
      <div class="cluster-grid">
        <Inside data={data} />
        <Neighbours data={data} />
      </div>
      <Latest id={id} />
      <History id={id} />
      <Take data={data} />
    </>
  );
}

function Gone({ id, data, onAsk }: AskProps & OneProps) {
  return (
    <Empty title={`Cluster ${id} is gone`}>
      It died at row {count(data.died_at_position)} of the order. Its id is never used again; its pages stay in the output.{" "}
      <button type="button" onClick={() => onAsk({ edit: "undo" })}>
        Undo
      </button>
    </Empty>
  );
}

function Left({ id, data }: OneProps) {
  const heirs = data.went_to ?? [];
  return (
    <>
      {heirs.length > 0 && (
        <section class="panel">
          <h2>Its themes went to</h2>
          <ul class="plain">
            {heirs.map((heir) => (
              <li key={heir.cluster} data-row>
                <a href={toCluster(heir.cluster)}>cluster {heir.cluster}</a> <span class="faint">{counted(heir.micro_clusters, "theme")}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Latest id={id} />
      <History id={id} />
    </>
  );
}

function Head({ data, onAsk }: AskProps) {
  const [editing, setEditing] = useState(false);
  const [said, setSaid] = useState<string>();
  const [error, setError] = useState<Refused>();
  const [merging, setMerging] = useState(false);
  const edit = async (route: string, body: unknown, what: string) => {
    try {
      const { commit } = await change(`/clusters/${data.cluster}/${route}`, body);
      setError(undefined);
      setSaid(`${what}: ${done(commit)}.`);
      setEditing(false);
    } catch (error) {
      if (error instanceof Refused) setError(error);
    }
  };
  return (
    <header class="cluster-head">
      <h2>
        <span class="id">{data.cluster}</span> <Text of={data.label || "no label yet"} />
        {data.renamed && <span class="tag">named by hand</span>}
        {data.pinned && <span class="tag">pinned</span>}
      </h2>
      <div class="tools">
        <button type="button" aria-expanded={editing} onClick={() => setEditing(!editing)}>
          Rename
        </button>
        <button type="button" aria-pressed={data.pinned} onClick={() => void edit("pin", { pinned: !data.pinned }, data.pinned ? "No longer pinned" : "Pinned")}>
          {data.pinned ? "Unpin" : "Pin"}
        </button>
        <button type="button" aria-expanded={merging} onClick={() => setMerging(!merging)}>
          Merge
        </button>
        <button type="button" onClick={() => onAsk({ edit: "split", cluster: data.cluster, micro_clusters: [] })}>
          Split
        </button>
        <button type="button" onClick={() => onAsk({ edit: "undo" })}>
          Undo
        </button>
        <a class="button" href={path(`/clusters/${data.cluster}/export`, { format: "csv" })} download data-export>
          CSV
        </a>
        <a class="button" href={path(`/clusters/${data.cluster}/export`, { format: "xlsx" })} download>
          Excel
        </a>
        <a class="button" href={path(`/clusters/${data.cluster}/export`, { format: "parquet" })} download>
          Parquet
        </a>
      </div>
      {editing && <Rename label={data.label} onSave={(label) => void edit("label", { label }, label ? "Renamed" : "Its own name again")} />}
      {merging && <Other data={data} name="Merge into" onChoose={(into) => onAsk({ edit: "merge", cluster: data.cluster, into })} />}
      {said && <Notice>{said}</Notice>}
      <Trouble error={error} />
    </header>
  );
}

function Rename({ label, onSave }: { label: string; onSave: (label: string) => void }) {
  const [text, setText] = useState(label);
  const submit = (event: Event) => {
    event.preventDefault();
    onSave(text.trim());
  };
  return (
    <form class="search" onSubmit={submit}>
      <input type="text" aria-label="Name of the cluster" value={text} maxLength={200} dir="auto" autoFocus onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit">Save</button>
    </form>
  );
}

const weight = (n: number): string => (n >= 100 ? count(Math.round(n)) : n.toPrecision(3));

function Facts({ data }: { data: Cluster }) {
  const most = Math.max(1e-9, ...data.terms.map((term) => term.weight));
  const pages = Math.max(1, ...data.domains.map((domain) => domain.pages));
  return (
    <section class="panel" aria-label="Facts">
      <dl class="facts">
        <dt>Delivered</dt>
        <dd>
          {counted(data.delivered, "page")} <span class="faint">({percent(data.share)} of all)</span>
        </dd>
        <dt>Now</dt>
        <dd>
          {counted(data.now, "page")} <span class="faint">after later moves and edits</span>
        </dd>
        <dt>Over the rows</dt>
        <dd>
          <Spark of={data.volume} width={200} height={28} />
        </dd>
        <dt>Born</dt>
        <dd>at page {count(data.born)}</dd>
        <dt>Latest</dt>
        <dd>page {count(data.latest_at)}</dd>
        <dt>Languages</dt>
        <dd>{data.languages.map((one) => `${one.language} ${percent(one.share)}`).join(", ") || "–"}</dd>
        {data.drift && <DriftFacts of={data.drift} />}
        {(data.kept ?? []).map((one) => (
          <Fragment key={one.column}>
            <dt>
              Sum of <Text of={one.column} />
            </dt>
            <dd>
              {one.sum}{" "}
              <span class="faint">
                of {counted(one.numbers, "number")}
                {one.others > 0 && `, ${counted(one.others, "other value")}`}
              </span>
            </dd>
          </Fragment>
        ))}
      </dl>
      <h3>Terms</h3>
      <ul class="weighted">
        {data.terms.slice(0, 20).map((term) => (
          <li key={`${term.kind} ${term.term}`}>
            <Text of={term.term} class="clip" />
            <ShareBar share={term.weight} most={most} text={weight(term.weight)} />
          </li>
        ))}
      </ul>
      <h3>Main domains</h3>
      <ul class="weighted">
        {data.domains.slice(0, 12).map((one) => (
          <li key={one.domain}>
            <a class="clip" href={to("pages", { q: `cluster:${data.cluster} host:${one.domain}` })}>
              <Text of={one.domain} />
            </a>
            <span class="share">
              <span class="share-bar" aria-hidden="true">
                <span style={{ width: `${((one.pages / pages) * 100).toFixed(1)}%` }} />
              </span>
              {count(one.pages)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const MEASURES: Record<Measure, [string, (value: number) => string]> = {
  shift: ["Words, distance from before", percent],
  breadth: ["Words, spread over", (value) => count(Math.round(value))],
  new_words: ["Words, new to it", percent],
  volume: ["Pages of 1,000", (value) => count(Math.round(value))],
};

/** What it is like beside its own past, and the last time that this was not as usual. */
function DriftFacts({ of }: { of: Drift }) {
  return (
    <>
      {of.measures.map(({ measure, now, usual }) => {
        const [name, shown] = MEASURES[measure];
        return (
          <Fragment key={measure}>
            <dt>{name}</dt>
            <dd>
              {shown(now)}{" "}
              <span class="faint">
                usually {shown(usual[0])} to {shown(usual[1])}
              </span>
            </dd>
          </Fragment>
        );
      })}
      <dt>Drifted</dt>
      <dd>{of.last ? `${counted(of.alarms, "time")}. The last: ${of.last.said}` : "never"}</dd>
    </>
  );
}

const KINDS: [Example["kind"], string, string][] = [
  ["representative", "Representative", "nearest to their theme"],
  ["boundary", "Boundary", "just belonging"],
  ["latest", "Latest", "as they came"],
];

function Examples({ data }: { data: Cluster }) {
  return (
    <section class="panel" aria-label="Pages that speak for it">
      {KINDS.map(([kind, name, what]) => {
        const some = (data.examples ?? []).filter((example) => example.kind === kind);
        if (some.length === 0) return null;
        return (
          <div key={kind}>
            <h3>
              {name} <span class="faint">{what}</span>
            </h3>
            <ul class="examples">
              {some.map((example, index) => (
                <li key={index} data-row>
                  <PageLink url={example.url} title={example.title} />
                  <span class="faint num">
                    {example.copied && <span class="tag">{came(example.copied)}</span>} {score(example.score)}
                  </span>
                  <WhyButton of={example.record_id} title={example.title} />
                </li>
              ))}
            </ul>
          </div>
        );
      })}
    </section>
  );
}

/** What addresses of the cluster look like, site by site. */
function Patterns({ data }: { data: Cluster }) {
  const some = data.patterns ?? [];
  return (
    <section class="panel" aria-label="Addresses">
      <h2>Addresses</h2>
      {some.length === 0 && <p class="faint">No pattern has come twice yet.</p>}
      <ul class="weighted">
        {some.map((one) => (
          <li key={one.pattern}>
            <Text of={one.pattern} class="pattern" />
            <ShareBar share={one.share} most={1} text={`${count(one.pages)}, ${percent(one.share)}`} />
            {one.hosts > 1 && <span class="faint">at least {count(one.hosts)} hosts</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Pages that are the same, folded. */
function Copies({ data }: { data: Cluster }) {
  const of = data.copies;
  const some = of?.repeated ?? [];
  return (
    <section class="panel" aria-label="Copies">
      <h2>
        Copies <span class="faint">{of && of.pages > 0 ? `${percent(of.share)} of its pages had come before` : ""}</span>
      </h2>
      {some.length === 0 && <p class="faint">{of && of.copies > 0 ? "None of them came often of late." : "No page has come twice yet."}</p>}
      <ul class="examples">
        {some.map((page, index) => (
          <li key={index} data-row>
            <PageLink url={page.url} title={page.title} />
            <span class="tag">{came(page)}</span>
            <WhyButton of={page.record_id} title={page.title} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** `× 312 on 41 hosts` */
function came({ pages, hosts, hosts_exact }: Copied): string {
  return `× ${count(pages)}${hosts > 0 ? ` on ${hosts_exact ? "" : "about "}${counted(hosts, "host")}` : ""}`;
}

export function WhyButton({ of, title }: { of: string | null; title: string | null }) {
  if (!of) return null;
  return (
    <button type="button" class="why" aria-pressed={chosen("why") === of} aria-label={`Why is it here: ${title ?? of}`} onClick={() => choose({ why: of })}>
      why?
    </button>
  );
}

function Inside({ data }: { data: Cluster }) {
  const [picked, setPicked] = useState<number[]>([]);
  const [asked, setAsked] = useState<Edit>();
  const themes = data.themes ?? [];
  const alive = picked.filter((id) => themes.some((theme) => theme.micro_cluster === id));
  const pick = (id: number) => setPicked(picked.includes(id) ? picked.filter((other) => other !== id) : [...picked, id]);
  const end = () => {
    setAsked(undefined);
    setPicked([]);
  };
  const rows = themes.map((theme) => ({
    key: theme.micro_cluster,
    cells: [
      <label class="pick">
        <input type="checkbox" checked={picked.includes(theme.micro_cluster)} onChange={() => pick(theme.micro_cluster)} />
        <span class="id">{theme.micro_cluster}</span>
      </label>,
      <>
        <Text of={theme.terms.map((t) => t.term).join(", ")} />
        {theme.held && <span class="tag">placed by hand</span>}
      </>,
      count(theme.pages),
    ],
  }));
  return (
    <section class="panel" aria-label="Themes">
      <h2>
        Themes inside <span class="faint">{`${count(themes.length)} of ${count(data.themes_total ?? data.micro_clusters)}`}</span>
      </h2>
      {alive.length > 0 && (
        <div class="tools">
          <button type="button" onClick={() => setAsked({ edit: "split", cluster: data.cluster, micro_clusters: alive })}>
            Split off
          </button>
          <button type="button" onClick={() => setAsked({ edit: "release", micro_clusters: alive })}>
            Release
          </button>
          <Other data={data} name="Move to" onChoose={(to) => setAsked({ edit: "move", micro_clusters: alive, to })} />
        </div>
      )}
      <Hand asked={asked} onEnd={end} />
      <div class="tall">
        <Table name="Themes" columns={[{ name: "Id" }, { name: "Terms" }, { name: "Pages", right: true }]} rows={rows} />
      </div>
    </section>
  );
}

function Neighbours({ data }: { data: Cluster }) {
  const near = data.neighbours ?? [];
  return (
    <section class="panel" aria-label="Neighbours">
      <h2>Neighbours</h2>
      {near.length === 0 && <p class="faint">There is no other cluster like it.</p>}
      <ul class="weighted">
        {near.map((one) => (
          <li key={one.cluster} data-row>
            <ClusterLink id={one.cluster} label={one.label} />
            <ShareBar share={one.likeness} most={1} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Latest({ id }: { id: number }) {
  const { data, error, old } = useAnswer<Pages>(path(`/clusters/${id}/pages`, { limit: 20 }), commits.value);
  return (
    <section class="panel" aria-label="Latest pages">
      <header class="figure-head">
        <h2>Latest pages</h2>
        <a class="button" href={to("pages", { q: `cluster:${id}` })}>
          All its pages
        </a>
      </header>
      <Trouble error={error} />
      {data && !old && <PageTable pages={data.pages} cluster={false} />}
    </section>
  );
}

/** Fields of an event that have columns of their own, or say nothing here; and those that `said` has in words. */
const OWN = ["schema", "event", "kind", "position", "epoch", "commit"];
const REASON = ["said", "why", "likeness", "likeness_before", "distance", "weight", "threshold", "words_gone", "words_came"];

function History({ id }: { id: number }) {
  const { data, error, old } = useAnswer<Lineage>(path("/lineage", { cluster: id, limit: 20 }), commits.value);
  const events = !data || old ? [] : data.events;
  const rows = events.map((event, key) => ({
    key,
    cells: [worded(String(event["event"] ?? event["kind"] ?? "")), <Details event={event} id={id} />, cell(event["position"]), cell(event["epoch"] ?? event["commit"])],
  }));
  const columns = [{ name: "Event" }, { name: "What" }, { name: "At row", right: true }, { name: "Commit", right: true }];
  return (
    <section class="panel" aria-label="History">
      <header class="figure-head">
        <h2>
          History <span class="faint">births, moves, merges, deaths, edits: the newest {count(rows.length)}</span>
        </h2>
        <CsvLink file={`history-${id}`} route="/lineage" query={{ cluster: id }} total={data?.total} main={false} />
      </header>
      <Trouble error={error} />
      {rows.length === 0 ? <p class="faint">Nothing has happened to it yet.</p> : <Table name="History" columns={columns} rows={rows} />}
    </section>
  );
}

const worded = (name: string): string => name.replace("micro_cluster", "theme").replace(/^micro_/, "theme ").replaceAll("_", " ");
const cell = (of: unknown): string => (typeof of === "number" ? count(of) : "–");

function Details({ event, id }: { event: Record<string, unknown>; id: number }) {
  const hidden = [...OWN, ...REASON, ...(event["event"] === "cluster_died" ? ["pages"] : [])];
  const facts = Object.entries(event).filter(([name, value]) => !hidden.includes(name) && value !== null && !(name === "cluster" && value === id));
  const said = event["said"];
  return (
    <>
      {facts.map(([name, value]) => (
        <span key={name} class="detail">
          <span class="faint">{worded(name)}</span> <Text of={typeof value === "object" ? JSON.stringify(value) : String(value)} />
        </span>
      ))}
      {typeof said === "string" && (
        <span class="detail said">
          <Text of={said} />
        </span>
      )}
    </>
  );
}

/** Readers of its topic: of one that all clusters share, those messages that have its id as their key. */
function Consumers({ topic, servers, of }: { topic: string; servers: string; of: number | null }) {
  const kcat = `kcat -b ${quoted(servers)} -t ${quoted(topic)} -C -e -X isolation.level=read_committed`;
  const kafka = `kafka-console-consumer.sh --bootstrap-server ${quoted(servers)} --topic ${quoted(topic)} --from-beginning --isolation-level read_committed`;
  return (
    <>
      <Copy name="kcat" text={of === null ? kcat : `${kcat} -K : | grep '^${of}:'`} />
      <Copy name="Kafka" text={of === null ? kafka : `${kafka} --property print.key=true --property key.separator=: | grep '^${of}:'`} />
    </>
  );
}

function Take({ data }: { data: Cluster }) {
  const known = now.value;
  const out = known?.out ?? "out";
  const sql = `SELECT creation_time, title, url FROM ${sqlText(`${out}/pages/*.parquet`)} WHERE cluster = ${data.cluster}`;
  const [topic, servers] = [data.topic, known?.topics?.servers];
  return (
    <section class="panel" aria-label="Take it along">
      <h2>Take it along</h2>
      <Copy name="DuckDB" text={`duckdb -c ${quoted(sql)}`} />
      {topic && servers && <Consumers topic={topic} servers={servers} of={known?.topics?.keyed ? data.cluster : null} />}
      <Copy name="API" text={`curl -H "Authorization: Bearer $TOKEN" '${location.origin}/api/v1/clusters/${data.cluster}'`} />
      <Copy name="Stream" text={`curl -N -H "Authorization: Bearer $TOKEN" '${location.origin}/api/v1/clusters/${data.cluster}/stream?as=jsonl'`} />
      <Copy name="Export" text={`windrow export --folder ${quoted(out)} --cluster ${data.cluster} --out cluster-${data.cluster}.xlsx`} />
      <p class="faint">
        <code>$TOKEN</code> is what stands behind <code>token=</code> in the URL that the program printed when it began, or in the file given with <code>--token-file</code>.
      </p>
    </section>
  );
}
