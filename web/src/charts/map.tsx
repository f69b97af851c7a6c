// The map: clusters and themes placed by likeness. Pages are dots on a canvas below, clusters and their names are drawn above.
//
// Places move when the model moves: at most 300 ms, and not at all for those who asked for less motion.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { cut, count, FONT, local, textWidth } from "../format";
import { toCluster } from "../place";
import { colours, ink } from "../theme";
import type { MapOf, MapPoint } from "../types";

/** What part is seen: its middle and how many times it is enlarged. */
export interface Look {
  x: number;
  y: number;
  zoom: number;
}

export interface Frame {
  width: number;
  height: number;
  look: Look;
}

const EDGE = 40;

/** Where a place of the map lies on the screen; as in the map itself, y grows downwards. */
export function screen({ width, height, look }: Frame): { x: (v: number) => number; y: (v: number) => number; size: number; flat: number } {
  const size = ((Math.min(width, height * 1.6) - EDGE * 2) / 2) * look.zoom;
  const flat = ((height - EDGE * 2) / 2) * look.zoom;
  return { x: (v) => width / 2 + (v - look.x) * size, y: (v) => height / 2 + (v - look.y) * flat, size, flat };
}

const radius = (pages: number, most: number, zoom: number): number => (4 + 26 * Math.sqrt(pages / Math.max(1, most))) * Math.min(2, Math.sqrt(zoom));

interface Props {
  data: MapOf;
  frame: Frame;
  chosen: number | null;
  onLook: (look: Look) => void;
}

export function MapChart({ data, frame, chosen, onLook }: Props) {
  const moving = useMoving(data);
  const box = useRef<HTMLDivElement>(null);
  const drag = useDrag(box, frame, onLook);
  const byKey = (event: KeyboardEvent) => {
    const look = event.ctrlKey || event.metaKey || event.altKey ? undefined : moved(frame, event.key);
    if (!look) return;
    event.preventDefault();
    onLook(look);
  };
  return (
    <div ref={box} class="chart map" tabIndex={0} role="group" aria-label="Map: plus and minus enlarge it, arrow keys move it, 0 shows all" onKeyDown={byKey} {...drag}>
      <Points data={moving} frame={frame} box={box} chosen={chosen} />
      <svg width={frame.width} height={frame.height} viewBox={`0 0 ${frame.width} ${frame.height}`} role="group" aria-label="Map of clusters" font-family={FONT}>
        <Drawn data={moving} frame={frame} chosen={chosen} links />
      </svg>
    </div>
  );
}

/** Clusters, themes and names; also what is taken along. */
export function Drawn({ data, frame, chosen, links = false }: { data: MapOf; frame: Frame; chosen: number | null; links?: boolean }) {
  const at = screen(frame);
  const given = colours(data.clusters.map((cluster) => cluster.cluster), ink.value.series);
  const most = Math.max(1, ...data.clusters.map((cluster) => cluster.now));
  const bubbles = [...data.clusters].sort((a, b) => b.now - a.now || a.cluster - b.cluster);
  return (
    <>
      {data.themes.map((theme) => (
        <circle key={theme.micro_cluster} cx={at.x(theme.x)} cy={at.y(theme.y)} r={3.2} fill={given.get(theme.cluster)} fill-opacity="0.55" stroke={ink.value.surface} stroke-width="0.8" />
      ))}
      {bubbles.map((one) => {
        const shape = <circle cx={at.x(one.x)} cy={at.y(one.y)} r={radius(one.now, most, frame.look.zoom)} fill={given.get(one.cluster)} fill-opacity={chosen === null || chosen === one.cluster ? 0.35 : 0.08} stroke={given.get(one.cluster)} stroke-width={chosen === one.cluster ? 4 : 1.6} />;
        if (!links) return <g key={one.cluster}>{shape}</g>;
        return (
          <a key={one.cluster} href={toCluster(one.cluster)} aria-label={`${one.label}: ${count(one.now)} pages`} data-row>
            {shape}
          </a>
        );
      })}
      {names(bubbles, frame, most).map((name) => (
        <text key={name.cluster} x={name.x} y={name.y} font-size="12" text-anchor="middle" fill={ink.value.text} stroke={ink.value.surface} stroke-width="3" paint-order="stroke" pointer-events="none">
          {name.text}
        </text>
      ))}
    </>
  );
}

interface Named {
  cluster: number;
  x: number;
  y: number;
  text: string;
}

const NAME = 150;

/** Names of the largest first, each where it lies over no other and within the edges; those that find no room are left to the list. */
function names(clusters: MapOf["clusters"], frame: Frame, most: number): Named[] {
  const at = screen(frame);
  const taken: [number, number, number, number][] = [];
  const placed: Named[] = [];
  for (const one of clusters) {
    const text = cut(one.label || `cluster ${one.cluster}`, NAME, 12);
    const half = textWidth(text, 12) / 2 + 3;
    const [middle, y, r] = [at.x(one.x), at.y(one.y), radius(one.now, most, frame.look.zoom)];
    if (middle < 0 || middle > frame.width) continue;
    const x = Math.min(frame.width - half - 2, Math.max(half + 2, middle));
    for (const dy of [4, r + 14, -r - 5]) {
      const box: [number, number, number, number] = [x - half, y + dy - 12, x + half, y + dy + 4];
      const outside = box[0] < 2 || box[2] > frame.width - 2 || box[1] < 2 || box[3] > frame.height - 2;
      if (outside || taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      taken.push(box);
      placed.push({ cluster: one.cluster, x, y: y + dy, text });
      break;
    }
  }
  return placed;
}

/** The map as a picture: dots as points of one path a cluster. */
export function MapPicture({ data, width, chosen }: { data: MapOf; width: number; chosen: number | null }) {
  const frame = { width, height: Math.round(width * 0.66), look: { x: 0, y: 0, zoom: 1 } };
  const at = screen(frame);
  const given = colours(data.clusters.map((cluster) => cluster.cluster), ink.value.series);
  const paths = new Map<number, string[]>();
  for (const point of data.points.items) {
    const path = paths.get(point.cluster) ?? [];
    path.push(`M${at.x(point.x).toFixed(1)},${at.y(point.y).toFixed(1)}h0`);
    paths.set(point.cluster, path);
  }
  return (
    <svg width={width} height={frame.height} viewBox={`0 0 ${width} ${frame.height}`} font-family={FONT}>
      {[...paths].map(([cluster, path]) => (
        <path key={cluster} d={path.join("")} stroke={given.get(cluster) ?? ink.value.other} stroke-width="2.6" stroke-linecap="round" stroke-opacity="0.5" fill="none" />
      ))}
      <Drawn data={data} frame={frame} chosen={chosen} />
      <text x="10" y={frame.height - 10} font-size="11" fill={ink.value.muted}>
        {`clusters by likeness; circles by their pages now; showing ${count(data.points.shown)} of ${count(data.points.total)} pages`}
      </text>
    </svg>
  );
}

function Points({ data, frame, box, chosen }: { data: MapOf; frame: Frame; box: { current: HTMLElement | null }; chosen: number | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [tip, setTip] = useState<{ point: MapPoint; x: number; y: number }>();
  const grid = useMemo(() => gridOf(data.points.items, frame), [data, frame.width, frame.height, frame.look.x, frame.look.y, frame.look.zoom]);
  const colour = ink.value;
  useEffect(() => {
    if (canvas.current) paint(canvas.current, data, frame, chosen);
  }, [data, frame, chosen, colour]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const move = (event: PointerEvent) => {
      const here = element.getBoundingClientRect();
      const point = nearest(grid, event.clientX - here.left, event.clientY - here.top);
      setTip(point && { point: point.point, x: point.x, y: point.y });
    };
    const leave = () => setTip(undefined);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerleave", leave);
    return () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerleave", leave);
    };
  }, [grid]);
  return (
    <>
      <canvas ref={canvas} aria-hidden="true" />
      {tip && <Tip {...tip} width={frame.width} />}
    </>
  );
}

function Tip({ point, x, y, width }: { point: MapPoint; x: number; y: number; width: number }) {
  const left = x + 280 > width ? Math.max(0, x - 272) : x + 12;
  return (
    <div class="tip" style={{ left: `${left}px`, top: `${y + 12}px`, width: "260px" }}>
      <div>
        <bdi dir="auto">{point.title || "no title"}</bdi>
      </div>
      <div class="faint">
        <bdi dir="auto">{point.domain}</bdi>
        {point.creation_time && ` · ${local(new Date(point.creation_time), false)}`}
        {point.score !== null && ` · ${point.score.toFixed(2)}`}
      </div>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, data: MapOf, frame: Frame, chosen: number | null): void {
  const sharp = Math.min(2, devicePixelRatio || 1);
  canvas.width = frame.width * sharp;
  canvas.height = frame.height * sharp;
  canvas.style.width = `${frame.width}px`;
  canvas.style.height = `${frame.height}px`;
  const draw = canvas.getContext("2d");
  if (!draw) return;
  draw.scale(sharp, sharp);
  const at = screen(frame);
  const given = colours(data.clusters.map((cluster) => cluster.cluster), ink.value.series);
  const size = Math.min(4, 2.2 * Math.sqrt(frame.look.zoom));
  for (const point of data.points.items) {
    draw.globalAlpha = chosen === null || chosen === point.cluster ? 0.5 : 0.08;
    draw.fillStyle = given.get(point.cluster) ?? ink.value.other;
    draw.fillRect(at.x(point.x) - size / 2, at.y(point.y) - size / 2, size, size);
  }
}

interface Spot {
  point: MapPoint;
  x: number;
  y: number;
}

const CELL = 24;
const REACH = 14;

/** Points by squares of the screen, so that the one under the pointer is found among few. */
function gridOf(points: MapPoint[], frame: Frame): Map<string, Spot[]> {
  const at = screen(frame);
  const grid = new Map<string, Spot[]>();
  for (const point of points) {
    const spot = { point, x: at.x(point.x), y: at.y(point.y) };
    const key = `${Math.floor(spot.x / CELL)} ${Math.floor(spot.y / CELL)}`;
    const cell = grid.get(key);
    if (cell) cell.push(spot);
    else grid.set(key, [spot]);
  }
  return grid;
}

function nearest(grid: Map<string, Spot[]>, x: number, y: number): Spot | undefined {
  let best: Spot | undefined;
  let least = REACH * REACH;
  for (let i = -1; i <= 1; i++) {
    for (let j = -1; j <= 1; j++) {
      for (const spot of grid.get(`${Math.floor(x / CELL) + i} ${Math.floor(y / CELL) + j}`) ?? []) {
        const far = (spot.x - x) ** 2 + (spot.y - y) ** 2;
        if (far < least) [best, least] = [spot, far];
      }
    }
  }
  return best;
}

const ZOOM_MOST = 40;

export function zoomed(look: Look, by: number): Look {
  const zoom = Math.min(ZOOM_MOST, Math.max(1, look.zoom * by));
  return zoom === 1 ? { x: 0, y: 0, zoom } : { ...look, zoom };
}

/** Part of what is seen that an arrow key moves over. */
const STEP = 0.2;
const WAYS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What a key shows instead; nothing where it means nothing. Where all is seen, arrows scroll the page as everywhere. */
function moved(frame: Frame, key: string): Look | undefined {
  const { look, width, height } = frame;
  if (key === "+" || key === "=") return zoomed(look, 1.5);
  if (key === "-") return zoomed(look, 1 / 1.5);
  if (key === "0") return { x: 0, y: 0, zoom: 1 };
  const way = WAYS[key];
  if (!way || look.zoom === 1) return undefined;
  const { size, flat } = screen(frame);
  const within = (v: number) => Math.min(1, Math.max(-1, v));
  return { ...look, x: within(look.x + (way[0] * STEP * width) / size), y: within(look.y + (way[1] * STEP * height) / flat) };
}

/** Dragging moves the map, the wheel with Ctrl enlarges it: without, the page scrolls as everywhere. */
function useDrag(box: { current: HTMLElement | null }, frame: Frame, onLook: (look: Look) => void) {
  const from = useRef<{ x: number; y: number; look: Look } | undefined>(undefined);
  useEffect(() => {
    const element = box.current;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      onLook(zoomed(frame.look, event.deltaY < 0 ? 1.25 : 0.8));
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  });
  return {
    onPointerDown: (event: PointerEvent) => {
      if (event.button === 0) from.current = { x: event.clientX, y: event.clientY, look: frame.look };
    },
    onPointerMove: (event: PointerEvent) => {
      const start = from.current;
      if (!start || start.look.zoom === 1) return;
      const { size, flat } = screen(frame);
      onLook({ ...start.look, x: start.look.x - (event.clientX - start.x) / size, y: start.look.y - (event.clientY - start.y) / flat });
    },
    onPointerUp: () => (from.current = undefined),
    onPointerLeave: () => (from.current = undefined),
  };
}

const MOVE_MS = 300;

/** The data with its places on their way from where they were. */
function useMoving(data: MapOf): MapOf {
  const [shown, setShown] = useState(data);
  const last = useRef(data);
  useEffect(() => {
    const before = last.current;
    last.current = data;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || before === data || before.generation === data.generation;
    if (still) {
      setShown(data);
      return;
    }
    const began = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const part = Math.min(1, (now - began) / MOVE_MS);
      setShown(part === 1 ? data : between(before, data, part * (2 - part)));
      if (part < 1) frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [data]);
  return shown;
}

function between(before: MapOf, after: MapOf, part: number): MapOf {
  const was = new Map(before.clusters.map((one) => [one.cluster, one]));
  const shift = <T extends { x: number; y: number; cluster: number }>(one: T): T => {
    const [old, new_] = [was.get(one.cluster), after.clusters.find((other) => other.cluster === one.cluster)];
    if (!old || !new_) return one;
    return { ...one, x: one.x + (old.x - new_.x) * (1 - part), y: one.y + (old.y - new_.y) * (1 - part) };
  };
  return { ...after, clusters: after.clusters.map(shift), themes: after.themes.map(shift) };
}
