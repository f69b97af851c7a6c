// What is there, and what is new.
import { path } from "../api";
import { useAnswer } from "../answer";
import { Spark, Trend, trend } from "../charts/spark";
import { bytes, count, counted, duration, percent } from "../format";
import { clusters, now } from "../live";
import { choose, chosen, to } from "../place";
import type { Cluster, Now } from "../types";
import { ClusterLink, Search, Text, Time, Trouble } from "../ui/parts";
import { type Row, Table } from "../ui/table";
import { Changes } from "./changes";
import { NothingYet } from "./nothing";

export function NowView() {
  const known = now.value;
  if (!known) return null;
  return (
    <>
      <Tiles known={known} />
      {known.pages === 0 ? (
        <NothingYet />
      ) : (
        <>
          <Changes known={known} />
          <ClusterList />
        </>
      )}
    </>
  );
}

function Tiles({ known }: { known: Now }) {
  const rate = known.rows_per_s;
  return (
    <dl class="tiles">
      <Tile name="Pages" value={count(known.pages)} more={`${counted(known.rows, "row")} read`} />
      <Tile name="Clusters" value={count(known.clusters)} more={counted(known.micro_clusters, "theme")} />
      <Tile name="Rejects" value={count(known.rejects)} more={rejected(known)} href={to("rejects")} bad={known.rejects > 0} />
      <Tile name="Rate" value={rate === null || rate === undefined ? "–" : `${count(Math.round(rate))}/s`} more={rate === null || rate === undefined ? "nothing runs" : "rows a second"} />
      {known.lag && <Tile name="Behind" value={count(known.lag.records)} more={known.lag.seconds === null ? "messages" : `messages, ${duration(known.lag.seconds)}`} href={to("status")} bad={(known.lag.seconds ?? 0) > 60} />}
      <Tile name="Commit" value={count(known.commit)} more={known.committed_at ? <Time of={known.committed_at} /> : "none yet"} href={to("status")} />
      {known.memory_bytes !== null && known.memory_bytes !== undefined && <Tile name="Memory" value={bytes(known.memory_bytes)} more="of the process" />}
    </dl>
  );
}

function rejected(known: Now): string {
  const share = known.rows > 0 ? known.rejects / known.rows : 0;
  if (known.rows === 0) return "nothing is read yet";
  return known.rejects === 0 ? "every row is a page" : `${percent(share)} of all rows`;
}

interface TileProps {
  name: string;
  value: string;
  more: preact.ComponentChildren;
  href?: string;
  bad?: boolean;
}

function Tile({ name, value, more, href, bad }: TileProps) {
  return (
    <div class={bad ? "tile bad" : "tile"}>
      <dt>{href ? <a href={href}>{name}</a> : name}</dt>
      <dd>
        <span class="tile-value">{value}</span>
        <span class="tile-more">{more}</span>
      </dd>
    </div>
  );
}

const SORTS: Record<string, (a: Cluster, b: Cluster) => number> = {
  delivered: (a, b) => b.delivered - a.delivered,
  now: (a, b) => b.now - a.now,
  label: (a, b) => a.label.localeCompare(b.label),
  born: (a, b) => b.born - a.born,
  trend: (a, b) => (trend(b.volume) ?? -2) - (trend(a.volume) ?? -2),
};

function holds(cluster: Cluster, text: string): boolean {
  const has = (other: string) => other.toLowerCase().includes(text);
  return !text || String(cluster.cluster) === text || has(cluster.label) || cluster.terms.some((t) => has(t.term)) || cluster.domains.some((d) => has(d.domain));
}

function ClusterList() {
  const [text, sort, open] = [chosen("q"), chosen("sort", "delivered"), chosen("open")];
  const found = clusters.value.filter((cluster) => holds(cluster, text.toLowerCase()));
  found.sort((a, b) => (SORTS[sort] ?? SORTS.delivered)?.(a, b) || a.cluster - b.cluster);
  const most = Math.max(1e-9, ...found.map((cluster) => cluster.share));
  const columns = [
    { name: "Cluster", sort: "label", rises: true },
    { name: "Over the rows", class: "wide-only" },
    { name: "Trend", sort: "trend", class: "wide-only" },
    { name: "Delivered", right: true, sort: "delivered" },
    { name: "Now", right: true, sort: "now", class: "wide-only" },
    { name: "Share", class: "wide-only" },
    { name: "Main domain", class: "widest-only" },
    { name: "Themes", right: true },
  ];
  return (
    <section class="panel" aria-label="Clusters">
      <header class="figure-head">
        <h2>
          Clusters <span class="faint">{text ? `${count(found.length)} of ${count(clusters.value.length)}` : count(found.length)}</span>
        </h2>
        <div class="tools">
          <Search name="Find clusters" value={text} hint="Label, term, domain or id" onSearch={(q) => choose({ q })} />
          <a class="button" data-export download="clusters.csv" href={path("/clusters", { q: text, sort: sort === "trend" ? null : sort, format: "csv" })}>
            CSV
          </a>
        </div>
      </header>
      {found.length === 0 ? (
        <p class="faint">No cluster holds this text.</p>
      ) : (
        <Table name="Clusters" columns={columns} rows={found.map((one) => line(one, most, open))} sorted={sort} onSort={(by) => choose({ sort: by === "delivered" ? null : by })} />
      )}
    </section>
  );
}

function line(cluster: Cluster, most: number, open: string): Row {
  const id = String(cluster.cluster);
  const isOpen = open === id;
  const unfold = (
    <button type="button" class="unfold" aria-expanded={isOpen} aria-label={`${counted(cluster.micro_clusters, "theme")} of cluster ${id}`} onClick={() => choose({ open: isOpen ? null : id }, false)}>
      {count(cluster.micro_clusters)} <span aria-hidden="true">{isOpen ? "▴" : "▾"}</span>
    </button>
  );
  return {
    key: cluster.cluster,
    cells: [
      <span class="named">
        <ClusterLink id={cluster.cluster} label={cluster.label} />
        {cluster.pinned && <span class="tag">pinned</span>}
      </span>,
      <Spark of={cluster.volume} />,
      <Trend of={cluster.volume} />,
      count(cluster.delivered),
      count(cluster.now),
      <ShareBar share={cluster.share} most={most} />,
      <Text of={cluster.domains[0]?.domain} class="clip domain" />,
      unfold,
    ],
    below: isOpen && <Unfolded cluster={cluster} />,
  };
}

export function ShareBar({ share, most, text }: { share: number; most: number; text?: string }) {
  return (
    <span class="share">
      <span class="share-bar" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (share / most) * 100).toFixed(1)}%` }} />
      </span>
      {text ?? percent(share)}
    </span>
  );
}

function Unfolded({ cluster }: { cluster: Cluster }) {
  const { data, error } = useAnswer<Cluster>(path(`/clusters/${cluster.cluster}`));
  if (error) return <Trouble error={error} />;
  if (!data) return <span class="faint">asking…</span>;
  const themes = data.themes ?? [];
  return (
    <>
      <p class="narrow-only">
        <Spark of={cluster.volume} /> <Trend of={cluster.volume} /> {percent(cluster.share)} of all · {count(cluster.now)} now
      </p>
      <ul class="themes">
        {themes.map((theme) => (
          <li key={theme.micro_cluster}>
            <span class="num">{count(theme.pages)}</span>
            <Text of={theme.terms.map((t) => t.term).join(", ")} />
          </li>
        ))}
      </ul>
      <p class="faint">
        {count(themes.length)} of {count(data.themes_total ?? themes.length)} themes, the heaviest first
      </p>
    </>
  );
}
