// Numbers, times and texts as people read them. Times are local; the exact UTC is one hover away.

const COUNT = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (n: number | null | undefined): string => (n === null || n === undefined ? "–" : COUNT.format(n));
/** A number with what it counts: `1 page`, `2 pages`. */
export const counted = (n: number, word: string): string => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
/** For axes, where room is short. */
export const short = (n: number): string => (Math.abs(n) < 10_000 ? COUNT.format(n) : SHORT.format(n));
export const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}%`;
export const score = (n: number | null | undefined): string => (n === null || n === undefined ? "–" : n.toFixed(3));

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [n, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3600)} h`;
  return `${count(Math.round(s / 86_400))} d`;
}

const two = (n: number): string => String(n).padStart(2, "0");

export function local(date: Date, seconds = true): string {
  if (Number.isNaN(date.getTime())) return "–";
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

export function utc(date: Date): string {
  return Number.isNaN(date.getTime()) ? "" : `${date.toISOString().replace("T", " ").replace(/\.\d+Z$|Z$/, "")} UTC`;
}

/** Only these are links: everything else that calls itself a URL is text. */
export function httpUrl(text: string | null): string | null {
  if (text === null || !/^https?:\/\//i.test(text)) return null;
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A stranger's text for a drawing: no character that XML forbids or that turns others round, set apart from its neighbours. */
export function drawn(text: string): string {
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffe\uffff]/g, "");
  return `\u2068${plain.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")}\u2069`;
}

const ruler = document.createElement("canvas").getContext("2d");
/** The font of drawings: the page's own. */
export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

export function textWidth(text: string, size: number): number {
  if (!ruler) return text.length * size * 0.6;
  ruler.font = `${size}px ${FONT}`;
  return ruler.measureText(text).width;
}

/** A text cut to a width, whole characters only. */
export function cut(text: string, width: number, size: number): string {
  const whole = drawn(text);
  if (whole.length < 400 && textWidth(whole, size) <= width) return whole;
  const characters = [...drawn(text.slice(0, 400)).slice(1, -1)];
  let [low, high] = [0, characters.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (textWidth(`${characters.slice(0, middle).join("")}…`, size) <= width) low = middle;
    else high = middle - 1;
  }
  return `\u2068${characters.slice(0, low).join("")}…\u2069`;
}

/** How a run ended, in few words: a code of an error stands for itself. */
export const ended = (reason: string): string => (reason.startsWith("E-") ? reason : reason.replaceAll("_", " "));

/** A word in quotes for a shell. */
export const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
/** A text in quotes for SQL. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
