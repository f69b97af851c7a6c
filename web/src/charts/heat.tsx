// The picture of domains and clusters that is taken along; on the page the same is a table.
import { count, cut, FONT, short } from "../format";
import { ink, isDark } from "../theme";
import type { Domains } from "../types";

const ROW = 24;
const HEAD = 150;
const NAMES = 220;

/** How strong a cell is drawn: by the logarithm, so that small numbers are seen beside large ones. */
const strength = (n: number, most: number): number => (n <= 0 ? 0 : Math.log1p(n) / Math.log1p(Math.max(1, most)));

/** The ground of a cell; never so strong that its number could not be read. */
export function ground(n: number, most: number): string {
  const share = Math.round(strength(n, most) * (isDark.value ? 46 : 60));
  return `color-mix(in srgb, ${ink.value.accent} ${share}%, ${ink.value.surface})`;
}

export function mostOf(data: Domains): number {
  return Math.max(1, ...data.counts.flat());
}

export function HeatPicture({ data, width }: { data: Domains; width: number }) {
  const colour = ink.value;
  // The last name leans over the edge.
  const cell = (width - NAMES - HEAD / 2) / Math.max(1, data.clusters.length);
  const height = HEAD + data.domains.length * ROW + 30;
  const most = mostOf(data);
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} font-family={FONT} font-size="12">
      {data.clusters.map((cluster, index) => (
        <text key={cluster.cluster} transform={`translate(${NAMES + (index + 0.5) * cell},${HEAD - 8}) rotate(-45)`} fill={colour.text}>
          {cut(cluster.label || `cluster ${cluster.cluster}`, HEAD - 10, 12)}
        </text>
      ))}
      {data.domains.map((domain, row) => (
        <g key={domain.domain}>
          <text x={NAMES - 8} y={HEAD + row * ROW + 16} text-anchor="end" fill={colour.text}>
            {cut(domain.domain, NAMES - 14, 12)}
          </text>
          {(data.counts[row] ?? []).map((n, index) => (
            <HeatCell key={index} n={n} most={most} x={NAMES + index * cell} y={HEAD + row * ROW} width={cell} />
          ))}
        </g>
      ))}
      <text x={NAMES} y={height - 10} fill={colour.muted}>
        {`pages per main domain and cluster; ${count(data.other)} of ${count(data.total)} pages are in neither`}
      </text>
    </svg>
  );
}

function HeatCell({ n, most, x, y, width }: { n: number; most: number; x: number; y: number; width: number }) {
  const how = strength(n, most);
  const colour = ink.value;
  return (
    <>
      <rect x={x + 1} y={y + 1} width={width - 2} height={ROW - 2} fill={colour.accent} fill-opacity={how * (isDark.value ? 0.46 : 0.6)} stroke={colour.grid} />
      {n > 0 && (
        <text x={x + width / 2} y={y + 16} text-anchor="middle" font-size="11" fill={colour.text}>
          {short(n)}
        </text>
      )}
    </>
  );
}
