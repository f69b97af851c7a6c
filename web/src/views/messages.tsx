// How many pages each cluster got: now as bars, and over time.
import { path } from "../api";
import { useAnswer } from "../answer";
import { Bars } from "../charts/bars";
import { bands, type Style, TimelineChart } from "../charts/timeline";
import { count, counted, ended, local, percent } from "../format";
import { now } from "../live";
import { choose, chosen } from "../place";
import type { Clock, Messages, Timeline } from "../types";
import { Figure } from "../ui/figure";
import { Choice, ClusterLink, Trouble } from "../ui/parts";
import { NothingYet } from "./nothing";

export const WINDOWS = [
  ["1m", "1 min"],
  ["1h", "1 h"],
  ["24h", "24 h"],
  ["all", "All"],
] as const;
type Window = (typeof WINDOWS)[number][0];

/** Until one chooses: what is there by the time of its pages; what comes in by its arrival, as pages have their times only with a commit. */
export function clock(): Clock {
  const asked = chosen("clock");
  if (asked === "event" || asked === "arrival") return asked;
  return now.value?.live || now.value?.topics ? "arrival" : "event";
}

export function ClockChoice() {
  return (
    <Choice
      name="Which time"
      value={clock()}
      of={[
        ["event", "Page time"],
        ["arrival", "Arrival"],
      ]}
      onChoose={(clock) => choose({ clock })}
    />
  );
}

export function MessagesView() {
  if (now.value?.pages === 0) return <NothingYet />;
  return (
    <>
      <div class="bar-of-tools">
        <Choice name="Window" value={chosen("window", "all") as Window} of={WINDOWS} onChoose={(window) => choose({ window: window === "all" ? null : window, from: null, to: null })} />
        <ClockChoice />
      </div>
      <BarsFigure />
      <TimeFigure title="Pages over time" top={10} />
    </>
  );
}

/** Bars shown until one asks for all. */
const BARS = 20;

function BarsFigure() {
  const sort = chosen("sort", "pages");
  const log = chosen("scale") === "log";
  const query = { clock: clock(), window: chosen("window", "all"), sort };
  const { data, error } = useAnswer<Messages>(path("/messages", query));
  const all = chosen("all") === "1";
  const shown = data?.clusters ?? [];
  const drawn = all ? shown : shown.slice(0, BARS);
  const rows = shown.map((one) => [<ClusterLink id={one.cluster} label={one.label} />, count(one.pages), percent(one.share), one.alive ? "alive" : "gone"]);
  const tools = (
    <>
      <Choice
        name="Order"
        value={sort}
        of={[
          ["pages", "Largest"],
          ["label", "Name"],
          ["cluster", "Id"],
        ]}
        onChoose={(sort) => choose({ sort: sort === "pages" ? null : sort })}
      />
      <Choice
        name="Scale"
        value={log ? "log" : "linear"}
        of={[
          ["linear", "Linear"],
          ["log", "Log"],
        ]}
        onChoose={(scale) => choose({ scale: scale === "log" ? scale : null })}
      />
    </>
  );
  return (
    <Figure
      file="messages"
      title="Pages per cluster"
      note={data && `${counted(data.total, "page")} in ${counted(shown.length, "cluster")}${data.other ? ` and ${count(data.other)} in small ones` : ""}${stretch(data)}`}
      tools={tools}
      twin={{ columns: [{ name: "Cluster" }, { name: "Pages", right: true }, { name: "Share", right: true }, { name: "State" }], rows }}
      csv={path("/messages", { ...query, format: "csv" })}
    >
      {(width) => (
        <>
          <Trouble error={error} />
          {data && shown.length === 0 && <p class="faint">No page lies in this window. Choose a longer one.</p>}
          {shown.length > 0 && <Bars bars={drawn} width={width} log={log} name="Pages per cluster" />}
          {shown.length > BARS && (
            <button type="button" onClick={() => choose({ all: all ? null : 1 })}>
              {all ? `The first ${BARS}` : `All ${count(shown.length)}`}
            </button>
          )}
        </>
      )}
    </Figure>
  );
}

function stretch(data: Messages): string {
  if (data.from === null || data.to === null) return "";
  return `, ${local(new Date(data.from * 1000), false)} to ${local(new Date(data.to * 1000), false)}`;
}

const STYLES = [
  ["stacked", "Stacked"],
  ["lines", "Lines"],
  ["small", "Small multiples"],
] as const;

/** The timeline of the largest clusters, or of one. */
export function TimeFigure({ title, top, cluster }: { title: string; top: number; cluster?: number }) {
  const style = (cluster === undefined ? chosen("as", "stacked") : "stacked") as Style;
  const [from, to] = [chosen("from"), chosen("to")];
  const query = { clock: clock(), window: from ? null : chosen("window", "all"), from, to, top, cluster };
  const { data, error } = useAnswer<Timeline>(path("/timeline", query));
  const alone = data && cluster !== undefined ? { ...data, other: { clusters: 0, counts: [] } } : data;
  const zoom = (span: [number, number] | null) => choose(span ? { from: Math.floor(span[0]), to: Math.ceil(span[1]) } : { from: null, to: null });
  const tools = (
    <>
      {cluster === undefined && <Choice name="Drawn as" value={style} of={STYLES} onChoose={(as) => choose({ as: as === "stacked" ? null : as })} />}
      {from && (
        <button type="button" onClick={() => zoom(null)}>
          Show all
        </button>
      )}
    </>
  );
  return (
    <Figure
      file={cluster === undefined ? "timeline" : `timeline-${cluster}`}
      title={title}
      note={data && noted(data, style)}
      tools={tools}
      twin={alone ? twin(alone) : { columns: [], rows: [] }}
      csv={path("/timeline", { ...query, format: "csv" })}
    >
      {(width) => (
        <>
          <Trouble error={error} />
          {data && data.times.length === 0 && <p class="faint">No page with a time lies in this window.</p>}
          {alone && alone.times.length > 0 && <TimelineChart data={alone} width={width} style={style} name={title} height={cluster === undefined ? 380 : 220} onZoom={zoom} />}
        </>
      )}
    </Figure>
  );
}

function noted(data: Timeline, style: Style): string {
  const parts = [data.clock === "event" ? "by the time of the page" : "by the time of arrival"];
  if (style !== "small") parts.push("drag over a stretch to zoom in, double click to see all");
  if (data.gaps.length > 0) parts.push(`grey: nothing ran (${[...new Set(data.gaps.map((gap) => ended(gap.why)))].join(", ")})`);
  if (data.undated > 0) parts.push(`${counted(data.undated, "page")} without a time that can be: not drawn`);
  return parts.join(" · ");
}

function twin(data: Timeline) {
  const drawn = bands(data);
  const columns = [{ name: "From" }, ...drawn.map((band) => ({ name: band.label, right: true }))];
  const rows = data.times.map((time, i) => [local(new Date(time * 1000), data.bucket_seconds < 60), ...drawn.map((band) => count(band.counts[i]))]);
  return { columns, rows };
}
