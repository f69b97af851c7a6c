// Pages over time: stacked, as lines, or a small picture for each cluster. Where nothing is known, nothing is drawn; drag to zoom.
import { scaleLinear, scaleTime } from "d3-scale";
import { area, line, stack } from "d3-shape";
import { useRef, useState } from "preact/hooks";
import { count, cut, drawn as plainly, ended, FONT, local, short, textWidth, utc } from "../format";
import { colours, ink } from "../theme";
import type { Timeline } from "../types";

export type Style = "stacked" | "lines" | "small";

export interface Band {
  key: number;
  label: string;
  colour: string;
  counts: (number | null)[];
}

/** Colours that are told apart best. */
const FEW = 10;

/** Series as they are drawn, the others last. */
export function bands(data: Timeline): Band[] {
  const given = colours(data.series.map((series) => series.cluster), ink.value.series.slice(0, data.series.length <= FEW ? FEW : undefined));
  const drawn: Band[] = data.series.map((series) => ({
    key: series.cluster,
    label: series.label || `cluster ${series.cluster}`,
    colour: given.get(series.cluster) ?? ink.value.other,
    counts: series.counts,
  }));
  if (data.other.clusters > 0) {
    drawn.push({ key: -1, label: `${count(data.other.clusters)} others`, colour: ink.value.other, counts: data.other.counts });
  }
  return drawn;
}

interface Props {
  data: Timeline;
  width: number;
  style: Style;
  name: string;
  height?: number;
  /** Asked to show this stretch only, in seconds; null for all. */
  onZoom: (span: [number, number] | null) => void;
}

const LEFT = 56;
const FOOT = 38;
const TOP = 10;
const LABELS = 190;

type Scale = ReturnType<typeof scaleLinear<number, number>>;
type TimeScale = ReturnType<typeof scaleTime<number, number>>;

export function TimelineChart(props: Props) {
  const drawn = bands(props.data);
  if (props.style === "small") return <Small {...props} drawn={drawn.filter((band) => band.key >= 0)} />;
  return <Large {...props} drawn={drawn} />;
}

function span(data: Timeline): [Date, Date] {
  const first = data.times[0] ?? 0;
  const last = data.times[data.times.length - 1] ?? first;
  return [new Date(first * 1000), new Date((last + data.bucket_seconds) * 1000)];
}

function Large({ data, width, style, name, height = 380, onZoom, drawn }: Props & { drawn: Band[] }) {
  const labels = width >= 720 ? LABELS : 0;
  const [x, stacked] = [scaleTime().domain(span(data)).range([LEFT, width - labels - 10]), style === "stacked"];
  const tops = data.times.map((_, i) => drawn.map((band) => band.counts[i] ?? 0).reduce((a, b) => (stacked ? a + b : Math.max(a, b)), 0));
  const y = scaleLinear().domain([0, Math.max(1, ...tops)]).nice(5).range([height - FOOT, TOP]);
  const shapes = stacked ? stackedShapes(data, drawn, x, y) : lineShapes(data, drawn, x, y);
  return (
    <Hover data={data} x={x} drawn={drawn} name={name} height={height} width={width} onZoom={onZoom}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={name} font-family={FONT} font-size="11">
        <Axes x={x} y={y} height={height} right={width - labels - 10} what={`pages per ${bucketName(data.bucket_seconds)}`} />
        <Gaps data={data} x={x} foot={height - FOOT} />
        {shapes.map((shape) => (
          <path key={shape.key} d={shape.path} {...shape.look} />
        ))}
        {labels > 0 && <Labels shapes={shapes} x={width - labels} height={height} />}
      </svg>
      {labels === 0 && <Legend drawn={drawn} />}
    </Hover>
  );
}

interface Shape {
  key: number;
  label: string;
  colour: string;
  path: string;
  /** Height of its end, where its name is written. */
  end: number;
  look: Record<string, string | number>;
}

const middle = (data: Timeline, i: number): Date => new Date(((data.times[i] ?? 0) + data.bucket_seconds / 2) * 1000);

function known(data: Timeline, drawn: Band[]): boolean[] {
  return data.times.map((_, i) => drawn.some((band) => band.counts[i] !== null && band.counts[i] !== undefined));
}

function stackedShapes(data: Timeline, drawn: Band[], x: TimeScale, y: Scale): Shape[] {
  const is = known(data, drawn);
  const rows = data.times.map((_, i) => i);
  const layers = stack<number, Band>().keys(drawn).value((i, band) => band.counts[i] ?? 0)(rows);
  const shape = area<[number, number]>()
    .defined((_, i) => is[i] ?? false)
    .x((_, i) => x(middle(data, i)))
    .y0((d) => y(d[0]))
    .y1((d) => y(d[1]));
  return layers.map((layer) => {
    const band = layer.key;
    const last = layer[is.lastIndexOf(true)] ?? [0, 0];
    const look = { fill: band.colour, "fill-opacity": band.key < 0 ? 0.45 : 0.85, stroke: ink.value.surface, "stroke-width": 0.25 };
    const points = layer.map((d): [number, number] => [d[0], d[1]]);
    return { key: band.key, label: band.label, colour: band.colour, path: dots(shape(points), points, is, data, x, y), end: y((last[0] + last[1]) / 2), look };
  });
}

/** A stretch of one bucket alone has no width: it gets some. */
function dots(path: string | null, points: [number, number][], is: boolean[], data: Timeline, x: TimeScale, y: Scale): string {
  const alone = is.flatMap((here, i) => (here && !is[i - 1] && !is[i + 1] ? [i] : []));
  const bars = alone.map((i) => {
    const [from, to] = points[i] ?? [0, 0];
    return from === to ? "" : `M${x(middle(data, i)) - 1.5},${y(from)}V${y(to)}h3V${y(from)}Z`;
  });
  return (path ?? "") + bars.join("");
}

function lineShapes(data: Timeline, drawn: Band[], x: TimeScale, y: Scale): Shape[] {
  return drawn.map((band, index) => {
    const has = (n: number | null) => n !== null;
    const shape = line<number | null>()
      .defined(has)
      .x((_, i) => x(middle(data, i)))
      .y((n) => y(n ?? 0));
    const alone = band.counts.flatMap((n, i) => (n !== null && (band.counts[i - 1] ?? null) === null && (band.counts[i + 1] ?? null) === null ? [[i, n] as const] : []));
    const path = (shape(band.counts) ?? "") + alone.map(([i, n]) => `M${x(middle(data, i)) - 2},${y(n)}h4`).join("");
    const last = [...band.counts].reverse().find(has) ?? 0;
    // Lines differ in their dashes too, not in colour alone.
    const dash = ["", "6 3", "2 2", "8 3 2 3"][Math.floor(index / 5) % 4] ?? "";
    return { key: band.key, label: band.label, colour: band.colour, path, end: y(last), look: { fill: "none", stroke: band.colour, "stroke-width": 1.8, "stroke-dasharray": dash, "stroke-linejoin": "round" } };
  });
}

function bucketName(seconds: number): string {
  const units: [number, string][] = [
    [31_536_000, "year"],
    [2_592_000, "month"],
    [604_800, "week"],
    [86_400, "day"],
    [3_600, "hour"],
    [60, "minute"],
    [1, "second"],
  ];
  for (const [size, name] of units) {
    if (seconds === size) return name;
    if (seconds > size) return `${Number((seconds / size).toFixed(seconds % size === 0 ? 0 : 1))} ${name}s`;
  }
  return "moment";
}

/** No mark between two seconds: nothing is counted there. */
const whole = (ticks: Date[]): Date[] => ticks.filter((tick) => tick.getMilliseconds() === 0);

interface AxesProps {
  x: TimeScale;
  y: Scale;
  height: number;
  right: number;
  what: string;
}

function Axes({ x, y, height, right, what }: AxesProps) {
  const colour = ink.value;
  const ticks = whole(x.ticks(Math.max(2, Math.floor((right - LEFT) / 95))));
  const word = x.tickFormat();
  return (
    <g>
      {y.ticks(5).filter(Number.isInteger).map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={right} y1={y(tick)} y2={y(tick)} stroke={colour.grid} />
          <text x={LEFT - 6} y={y(tick) + 4} text-anchor="end" fill={colour.muted}>
            {short(tick)}
          </text>
        </g>
      ))}
      {ticks.map((tick) => (
        <text key={tick.getTime()} x={x(tick)} y={height - FOOT + 16} text-anchor="middle" fill={colour.muted}>
          {word(tick)}
        </text>
      ))}
      <text x={(LEFT + right) / 2} y={height - 5} text-anchor="middle" fill={colour.muted}>
        time
      </text>
      <text transform={`translate(12,${(TOP + height - FOOT) / 2}) rotate(-90)`} text-anchor="middle" fill={colour.muted}>
        {what}
      </text>
    </g>
  );
}

function Gaps({ data, x, foot, top = TOP }: { data: Timeline; x: TimeScale; foot: number; top?: number }) {
  const [from, to] = x.range() as [number, number];
  return (
    <g>
      {data.gaps.map((gap) => {
        const left = Math.max(from, x(gap.from * 1000));
        const right = Math.min(to, x(gap.to * 1000));
        if (right <= left) return null;
        return (
          <g key={gap.from}>
            <rect data-gap={ended(gap.why)} x={left} y={top} width={right - left} height={foot - top} fill={ink.value.grid} opacity="0.6" />
            {textWidth(ended(gap.why), 11) < right - left - 8 && (
              <text x={(left + right) / 2} y={top + 14} text-anchor="middle" fill={ink.value.muted}>
                {plainly(ended(gap.why))}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

const LINE = 15;

/** Names beside the ends of their series, pushed apart where they would lie over each other. */
function Labels({ shapes, x, height }: { shapes: Shape[]; x: number; height: number }) {
  const placed = [...shapes].sort((a, b) => a.end - b.end).map((shape) => ({ shape, at: shape.end }));
  for (let i = 1; i < placed.length; i++) {
    const [before, here] = [placed[i - 1], placed[i]];
    if (before && here) here.at = Math.max(here.at, before.at + LINE);
  }
  let floor = height - FOOT;
  for (const one of placed.reverse()) {
    one.at = Math.min(one.at, floor);
    floor = one.at - LINE;
  }
  return (
    <g>
      {placed.map(({ shape, at }) => (
        <g key={shape.key}>
          <path d={`M${x - 8},${shape.end}L${x},${at}`} stroke={ink.value.grid} fill="none" />
          <line x1={x} x2={x + 12} y1={at} y2={at} stroke={shape.colour} stroke-width="3" stroke-dasharray={String(shape.look["stroke-dasharray"] ?? "")} />
          <text x={x + 17} y={at + 4} fill={ink.value.text}>
            {cut(shape.label, LABELS - 26, 11)}
          </text>
        </g>
      ))}
    </g>
  );
}

function Legend({ drawn }: { drawn: Band[] }) {
  return (
    <ul class="legend">
      {drawn.map((band) => (
        <li key={band.key}>
          <svg width="12" height="12" aria-hidden="true">
            <rect width="12" height="12" rx="2" fill={band.colour} />
          </svg>
          <bdi dir="auto">{band.label}</bdi>
        </li>
      ))}
    </ul>
  );
}

interface HoverProps {
  data: Timeline;
  x: TimeScale;
  drawn: Band[];
  name: string;
  width: number;
  height: number;
  onZoom: (span: [number, number] | null) => void;
  children: preact.ComponentChildren;
}

/** What is under the pointer or the keys' line, and the stretch that is dragged over. */
function Hover({ data, x, drawn, name, width, height, onZoom, children }: HoverProps) {
  const [at, setAt] = useState<number | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const [left, right] = x.range() as [number, number];
  const place = (event: PointerEvent) => Math.min(right, Math.max(left, event.clientX - (box.current?.getBoundingClientRect().left ?? 0)));
  const seconds = (px: number) => x.invert(px).getTime() / 1000;
  const bucket = (px: number) => Math.min(data.times.length - 1, Math.max(0, Math.floor((seconds(px) - (data.times[0] ?? 0)) / data.bucket_seconds)));
  const release = () => {
    if (drag && Math.abs(drag[1] - drag[0]) > 6) onZoom([seconds(Math.min(...drag)), seconds(Math.max(...drag))]);
    setDrag(null);
  };
  const keys = (event: KeyboardEvent) => {
    const whole = (data.times[data.times.length - 1] ?? 0) - (data.times[0] ?? 0) + data.bucket_seconds;
    const centre = at === null ? (data.times[0] ?? 0) + whole / 2 : (data.times[at] ?? 0);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) setAt(Math.min(data.times.length - 1, Math.max(0, (at ?? (step > 0 ? -1 : data.times.length)) + step)));
    else if (event.key === "+" || event.key === "=") onZoom([centre - whole / 4, centre + whole / 4]);
    else if (event.key === "-" || event.key === "0") onZoom(null);
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      class="chart"
      tabIndex={0}
      role="group"
      aria-label={`${name}. Arrow keys move over time, plus zooms in, 0 shows all.`}
      onKeyDown={keys}
      onPointerMove={(event) => {
        setAt(bucket(place(event)));
        if (drag) setDrag([drag[0], place(event)]);
      }}
      onPointerDown={(event) => event.button === 0 && setDrag([place(event), place(event)])}
      onPointerUp={release}
      onPointerLeave={() => {
        setAt(null);
        setDrag(null);
      }}
      onDblClick={() => onZoom(null)}
    >
      {children}
      <svg class="overlay" width={width} height={height} aria-hidden="true">
        {at !== null && <line x1={x(middle(data, at))} x2={x(middle(data, at))} y1={TOP} y2={height - FOOT} stroke={ink.value.text} stroke-dasharray="2 3" />}
        {drag && <rect x={Math.min(...drag)} y={TOP} width={Math.abs(drag[1] - drag[0])} height={height - FOOT - TOP} fill={ink.value.accent} opacity="0.2" />}
      </svg>
      {at !== null && !drag && <Tip data={data} at={at} drawn={drawn} x={x(middle(data, at))} width={width} />}
    </div>
  );
}

const TIP = 240;

function Tip({ data, at, drawn, x, width }: { data: Timeline; at: number; drawn: Band[]; x: number; width: number }) {
  const date = new Date((data.times[at] ?? 0) * 1000);
  const rows = drawn.map((band) => ({ band, n: band.counts[at] ?? null })).filter((row) => row.n !== 0);
  rows.sort((a, b) => (b.n ?? 0) - (a.n ?? 0));
  const left = x + TIP + 20 > width ? Math.max(0, x - TIP - 12) : x + 12;
  return (
    <div class="tip" style={{ left: `${left}px`, width: `${TIP}px` }} role="status">
      <div class="tip-head" title={utc(date)}>
        {local(date, data.bucket_seconds < 60)}
      </div>
      {rows.length === 0 && <div class="faint">nothing came</div>}
      {rows.length > 0 && rows.every((row) => row.n === null) && <div class="faint">nothing ran</div>}
      {rows.slice(0, 9).map(({ band, n }) => n !== null && (
        <div key={band.key} class="tip-row">
          <svg width="8" height="8" aria-hidden="true">
            <rect width="8" height="8" fill={band.colour} />
          </svg>
          <bdi dir="auto" class="clip">
            {band.label}
          </bdi>
          <span class="num">{count(n)}</span>
        </div>
      ))}
    </div>
  );
}

const PANEL = 110;

/** A picture for each series, all with the same axes, so that they may be compared. */
function Small({ data, width, name, drawn }: Props & { drawn: Band[] }) {
  const columns = Math.max(1, Math.min(4, Math.floor(width / 260)));
  const panel = width / columns;
  const rows = Math.ceil(drawn.length / columns);
  const most = Math.max(1, ...drawn.flatMap((band) => band.counts.map((n) => n ?? 0)));
  const height = rows * PANEL + 8;
  const x = scaleTime().domain(span(data)).range([40, panel - 14]);
  const y = scaleLinear().domain([0, most]).nice(2).range([PANEL - 22, 22]);
  const ticks = whole(x.ticks(Math.max(2, Math.floor(panel / 110))));
  const word = x.tickFormat();
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={name} font-family={FONT} font-size="10">
      {drawn.map((band, index) => (
        <g key={band.key} transform={`translate(${(index % columns) * panel},${Math.floor(index / columns) * PANEL})`}>
          <text x="40" y="14" fill={ink.value.text} font-size="12">
            {cut(band.label, panel - 54, 12)}
          </text>
          {y.ticks(2).filter(Number.isInteger).map((tick) => (
            <g key={tick}>
              <line x1="40" x2={panel - 14} y1={y(tick)} y2={y(tick)} stroke={ink.value.grid} />
              <text x="36" y={y(tick) + 3} text-anchor="end" fill={ink.value.muted}>
                {short(tick)}
              </text>
            </g>
          ))}
          {ticks.map((tick) => (
            <text key={tick.getTime()} x={x(tick)} y={PANEL - 8} text-anchor="middle" fill={ink.value.muted}>
              {word(tick)}
            </text>
          ))}
          <Gaps data={data} x={x} foot={PANEL - 22} top={22} />
          {stackedShapes(data, [band], x, y).map((shape) => (
            <path key="shape" d={shape.path} {...shape.look} />
          ))}
        </g>
      ))}
    </svg>
  );
}
