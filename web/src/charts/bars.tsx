// Bars: one a cluster, longest first or as asked, each with its name before it and its number behind it.
import { scaleLinear, scaleSymlog } from "d3-scale";
import { count, cut, FONT, percent, short, textWidth } from "../format";
import { toCluster } from "../place";
import { ink } from "../theme";

export interface Bar {
  cluster: number;
  label: string;
  pages: number;
  share: number;
  alive: boolean;
}

const ROW = 24;
const AXIS = 40;

export function Bars({ bars, width, log, name }: { bars: Bar[]; width: number; log: boolean; name: string }) {
  const colour = ink.value;
  const narrow = width < 560;
  const names = Math.round(Math.min(360, width * (narrow ? 0.4 : 0.32)));
  const most = Math.max(1, ...bars.map((bar) => bar.pages));
  const numbers = textWidth(`${count(most)} · 100%`, 12) + 14;
  const room = Math.max(20, width - names - numbers);
  const scale = (log ? scaleSymlog().constant(1) : scaleLinear()).domain([0, most]).range([0, room]);
  const ticks = log ? decades(most, room) : scale.ticks(Math.max(2, Math.floor(room / 90))).filter(Number.isInteger);
  const height = bars.length * ROW + AXIS;
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={name} font-family={FONT} font-size="12">
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={names + scale(tick)} x2={names + scale(tick)} y1="0" y2={height - AXIS + 4} stroke={colour.grid} />
          <text x={names + scale(tick)} y={height - AXIS + 17} fill={colour.muted} font-size="11" text-anchor="middle">
            {short(tick)}
          </text>
        </g>
      ))}
      {bars.map((bar, index) => (
        <a key={bar.cluster} href={toCluster(bar.cluster)} data-row class="bar">
          <rect data-loose x="0" y={index * ROW} width={width} height={ROW} fill={colour.accent} opacity="0" class="bar-ground" />
          <text x={names - 8} y={index * ROW + 16} text-anchor="end" fill={bar.alive ? colour.text : colour.muted}>
            {cut(bar.label || `cluster ${bar.cluster}`, names - 16, 12)}
          </text>
          <rect x={names} y={index * ROW + 4} width={Math.max(bar.pages > 0 ? 1 : 0, scale(bar.pages))} height={ROW - 8} rx="2" fill={bar.alive ? colour.accent : colour.other} />
          <text x={names + scale(bar.pages) + 6} y={index * ROW + 16} fill={colour.text}>
            {count(bar.pages)}
            <tspan fill={colour.muted}>{` · ${percent(bar.share)}`}</tspan>
          </text>
        </a>
      ))}
      <text x={names + room / 2} y={height - 6} fill={colour.muted} font-size="11" text-anchor="middle">
        {log ? "pages (log scale)" : "pages"}
      </text>
    </svg>
  );
}

function decades(most: number, room: number): number[] {
  const all = [0];
  for (let tick = 1; tick <= most; tick *= 10) all.push(tick);
  return room < 200 ? all.filter((_, index) => index % 2 === 0) : all;
}
