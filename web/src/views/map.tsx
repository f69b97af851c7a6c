// Clusters by likeness, with a list beside them that leads to the same places.
import { path } from "../api";
import { useAnswer } from "../answer";
import { type Look, MapChart, MapPicture, zoomed } from "../charts/map";
import { count } from "../format";
import { commits, now } from "../live";
import { asTable, choose, chosen, toCluster } from "../place";
import { colours, ink } from "../theme";
import type { MapOf, Term } from "../types";
import { Figure } from "../ui/figure";
import { ClusterLink, Search, Text, Trouble } from "../ui/parts";
import { NothingYet } from "./nothing";

function looked(): Look {
  const number = (name: string, otherwise: number) => {
    const found = Number(chosen(name, String(otherwise)));
    return Number.isFinite(found) ? found : otherwise;
  };
  return { x: number("x", 0), y: number("y", 0), zoom: Math.min(40, Math.max(1, number("zoom", 1))) };
}

function look(at: Look): void {
  const all = at.zoom <= 1;
  choose({ x: all ? null : at.x.toFixed(3), y: all ? null : at.y.toFixed(3), zoom: all ? null : at.zoom.toFixed(2) }, false);
}

export function MapView() {
  const points = chosen("points", "5000");
  const { data, error } = useAnswer<MapOf>(now.value?.pages === 0 ? null : path("/map", { points }), `${commits.value} ${now.value?.clusters}`);
  if (now.value?.pages === 0) return <NothingYet />;
  const only = chosen("cluster") ? Number(chosen("cluster")) : null;
  const at = looked();
  const tools = (
    <>
      <label class="pick">
        Pages
        <select value={points} onChange={(event) => choose({ points: event.currentTarget.value })}>
          {["0", "1000", "5000", "20000"].map((n) => (
            <option key={n} value={n}>
              {count(Number(n))}
            </option>
          ))}
        </select>
      </label>
      <div class="choice" role="group" aria-label="Zoom">
        <button type="button" aria-label="Larger" onClick={() => look(zoomed(at, 1.5))}>
          +
        </button>
        <button type="button" aria-label="Smaller" onClick={() => look(zoomed(at, 1 / 1.5))}>
          −
        </button>
        <button type="button" onClick={() => look({ x: 0, y: 0, zoom: 1 })}>
          All
        </button>
      </div>
    </>
  );
  return (
    <Figure
      file="map"
      title="Map"
      note={data && `near is alike; circles by pages now, small dots are themes · showing ${count(data.points.shown)} of ${count(data.points.total)} pages · Ctrl and the wheel, or + and −, enlarge; arrow keys move it`}
      tools={tools}
      twin={data && asTable.value ? twin(data) : { columns: [], rows: [] }}
      csv={path("/map", { points, format: "csv" })}
      picture={(width) => (data ? <MapPicture data={data} width={width} chosen={only} /> : <svg />)}
    >
      {(width) => (
        <>
          <Trouble error={error} />
          {data && (
            <div class={width >= 900 ? "map-grid" : ""}>
              <MapChart data={data} frame={{ width: width >= 900 ? width - 290 : width, height: Math.max(340, Math.min(680, Math.round(width * 0.6))), look: at }} chosen={only} onLook={look} />
              <List data={data} only={only} />
            </div>
          )}
        </>
      )}
    </Figure>
  );
}

/** Pages in the table; the CSV has all that are drawn. */
const PAGES_MOST = 1_000;

/** Clusters, then themes, then pages: everything that has a place. */
function twin(data: MapOf) {
  const right = true;
  const columns = [{ name: "What" }, { name: "Cluster" }, { name: "Of it" }, { name: "Pages", right }, { name: "Now", right }, { name: "x", right }, { name: "y", right }];
  const labels = new Map(data.clusters.map((one) => [one.cluster, one.label]));
  const link = (id: number) => <ClusterLink id={id} label={labels.get(id) ?? ""} />;
  const at = (one: { x: number; y: number }) => [one.x.toFixed(3), one.y.toFixed(3)];
  const named = (terms: (string | Term)[]) => terms.map((term) => (typeof term === "string" ? term : term.term)).join(", ");
  const rows = [
    ...data.clusters.map((one) => ["cluster", link(one.cluster), "", count(one.pages), count(one.now), ...at(one)]),
    ...data.themes.map((one) => ["theme", link(one.cluster), <Text of={named(one.terms)} />, count(one.pages), "", ...at(one)]),
    ...data.points.items.slice(0, PAGES_MOST).map((one) => ["page", link(one.cluster), <Text of={one.title} />, "", "", ...at(one)]),
  ];
  const left = data.points.items.length - PAGES_MOST;
  if (left > 0) rows.push([`${count(left)} more pages: see the CSV`, "", "", "", "", "", ""]);
  return { columns, rows };
}

/** The same clusters as a list: choosing one goes to its place. */
function List({ data, only }: { data: MapOf; only: number | null }) {
  const text = chosen("q").toLowerCase();
  const given = colours(data.clusters.map((one) => one.cluster), ink.value.series);
  const found = [...data.clusters].filter((one) => !text || one.label.toLowerCase().includes(text)).sort((a, b) => b.now - a.now || a.cluster - b.cluster);
  const goTo = (one: MapOf["clusters"][number]) => choose(only === one.cluster ? { cluster: null, x: null, y: null, zoom: null } : { cluster: one.cluster, x: one.x.toFixed(3), y: one.y.toFixed(3), zoom: 3 });
  return (
    <div class="map-list">
      <Search name="Find clusters on the map" value={chosen("q")} hint="Part of a label" onSearch={(q) => choose({ q })} />
      <ul>
        {found.map((one) => (
          <li key={one.cluster} data-row>
            <svg width="12" height="12" aria-hidden="true">
              <circle cx="6" cy="6" r="5" fill={given.get(one.cluster)} />
            </svg>
            <button type="button" class="link clip" aria-pressed={only === one.cluster} onClick={() => goTo(one)}>
              <Text of={one.label || `cluster ${one.cluster}`} />
            </button>
            <a class="num" href={toCluster(one.cluster)} aria-label={`${count(one.now)} pages: open ${one.label}`}>
              {count(one.now)}
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
