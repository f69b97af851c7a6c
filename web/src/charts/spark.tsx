// A line of a cluster's pages over the order of the rows, small enough for a row of a table.
import { ink } from "../theme";

export function Spark({ of, width = 110, height = 22 }: { of: number[]; width?: number; height?: number }) {
  const counts = shrunk(of, 40);
  const most = Math.max(1, ...counts);
  const step = width / Math.max(1, counts.length);
  const top = (n: number) => height - 1 - (n / most) * (height - 3);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {counts.map((n, index) => (
        <rect key={index} x={index * step} y={top(n)} width={Math.max(1, step - 0.6)} height={height - top(n)} fill={ink.value.accent} opacity={n === 0 ? 0.25 : 0.85} />
      ))}
    </svg>
  );
}

/** Neighbours added up until there are at most so many. */
function shrunk(of: number[], most: number): number[] {
  const size = Math.ceil(of.length / most);
  if (size <= 1) return of;
  const sums: number[] = [];
  for (let at = 0; at < of.length; at += size) sums.push(of.slice(at, at + size).reduce((a, b) => a + b, 0));
  return sums;
}

/** How the last quarter compares with what came before it, per part; null when there is too little to say so. */
export function trend(of: number[]): number | null {
  const last = Math.max(1, Math.floor(of.length / 4));
  if (of.length < 4) return null;
  const mean = (part: number[]) => part.reduce((a, b) => a + b, 0) / part.length;
  const [before, after] = [mean(of.slice(0, -last)), mean(of.slice(-last))];
  return before === 0 ? null : after / before - 1;
}

export function Trend({ of }: { of: number[] }) {
  const change = trend(of);
  if (change === null) return <span class="faint">–</span>;
  const flat = Math.abs(change) < 0.05;
  const sign = flat ? "→" : change > 0 ? "↗" : "↘";
  const text = flat ? "steady" : change > 9 ? `×${(change + 1).toFixed(0)}` : `${change > 0 ? "+" : "−"}${Math.abs(change * 100).toFixed(0)}%`;
  return (
    <span class={`trend ${flat ? "" : change > 0 ? "up" : "down"}`}>
      <span aria-hidden="true">{sign}</span> {text}
    </span>
  );
}
