// What the API answers, as docs/reference/api.md and docs/reference/json.md have it. Texts in it come from strangers.

export type Clock = "event" | "arrival";

export interface Standing {
  is: "waiting" | "running" | "ended" | "gone";
  pid?: number;
  since?: string;
  at?: string;
  reason?: string;
  message?: string | null;
}

/** What changed in the newest part of the order. */
export interface Recent {
  cluster: number;
  label: string;
  kind: "new" | "gone" | "grown" | "shrunk";
  before: number | null;
  now: number | null;
  at: number | null;
}

/** What became of a cluster in a stretch of time, beside the one before. */
export interface Change {
  change: "new" | "grown" | "shrunk" | "gone" | "renamed" | "edited";
  cluster: number;
  label: string;
  was: string | null;
  said: string;
  new_domains: { domain: string; pages: number }[];
  new_domains_total: number;
  titles: string[];
}

/** A cluster whose pages are not what they were. */
export interface Alarm {
  change: "drifted";
  cluster: number;
  label: string;
  position: number;
  measure: Measure;
  value: number;
  usual: [number, number];
  since: number;
  said: string;
}

export type Measure = "shift" | "breadth" | "new_words" | "volume";

/** How a cluster stands beside its own past. */
export interface Drift {
  measures: { measure: Measure; now: number; usual: [number, number]; values: number }[];
  alarms: number;
  last: Alarm | null;
}

export interface Changes {
  /** In a sentence; empty when no page has a time. */
  said: string;
  changes: Change[];
  alarms?: Alarm[];
}

export interface Now {
  commit: number | null;
  committed_at: string | null;
  standing: Standing;
  trouble: string | null;
  rows: number;
  pages: number;
  rejects: number;
  novel: number;
  clusters: number;
  micro_clusters: number;
  terms: number;
  version?: string;
  out?: string;
  live?: boolean;
  sequence?: number;
  rows_per_s?: number | null;
  committed_rows?: number;
  lag?: { records: number | null; seconds: number | null } | null;
  rejects_by_reason?: Record<string, number>;
  memory_bytes?: number | null;
  waits?: string | null;
  resume?: string | null;
  topics?: { prefix: string; keyed: boolean; servers: string } | null;
  changes?: Recent[];
  alarms?: Alarm[];
}

export interface Term {
  term: string;
  kind?: string;
  weight: number;
}

export interface Example {
  kind: "representative" | "boundary" | "latest";
  record_id: string | null;
  title: string;
  url: string;
  score: number;
  creation_time: string | null;
  copied?: Copied | null;
}

/** How often a page came. */
export interface Copied {
  pages: number;
  hosts: number;
  hosts_exact: boolean;
}

export interface Repeated extends Copied {
  title: string;
  url: string;
  record_id: string | null;
  first: number;
  last: number;
}

export interface Theme {
  micro_cluster: number;
  pages: number;
  weight: number;
  /** Whether a user put it where it is. */
  held?: boolean;
  terms: Term[];
}

export interface Cluster {
  cluster: number;
  slot: number | null;
  delivered: number;
  now: number;
  share: number;
  label: string;
  renamed: boolean;
  pinned: boolean;
  weight: number;
  micro_clusters: number;
  born: number;
  latest_at: number;
  terms: Term[];
  domains: { domain: string; pages: number }[];
  patterns?: { pattern: string; hosts: number; pages: number; share: number }[];
  copies?: { pages: number; copies: number; share: number; repeated: Repeated[] };
  languages: { language: string; share: number }[];
  volume: number[];
  drift?: Drift | null;
  kept?: { column: string; sum: string; numbers: number; others: number }[];
  examples?: Example[];
  themes?: Theme[];
  themes_total?: number;
  neighbours?: { cluster: number; label: string; likeness: number }[];
  topic?: string | null;
  state?: "alive" | "dead";
  died_at_position?: number | null;
  went_to?: { cluster: number; micro_clusters: number }[];
}

export interface Clusters {
  commit: number | null;
  total: number;
  clusters: Cluster[];
}

export interface Series {
  cluster: number;
  label: string;
  counts: (number | null)[];
}

export interface Timeline {
  clock: Clock;
  from: number | null;
  bucket_seconds: number;
  times: number[];
  series: Series[];
  other: { clusters: number; counts: (number | null)[] };
  undated: number;
  gaps: { from: number; to: number; why: string }[];
}

export interface Messages {
  window: string;
  /** Seconds, like all times of drawings. */
  from: number | null;
  to: number | null;
  total: number;
  /** In clusters that are too small to be counted one by one in a window. */
  other: number;
  clusters: { cluster: number; label: string; pages: number; share: number; alive: boolean }[];
}

export interface Domains {
  clusters: { cluster: number; label: string; pages: number }[];
  domains: { domain: string; pages: number }[];
  counts: number[][];
  other_clusters: number[];
  other_domains: number[];
  other: number;
  total: number;
}

export interface MapOf {
  generation: number;
  clusters: { cluster: number; label: string; x: number; y: number; pages: number; now: number }[];
  themes: { micro_cluster: number; cluster: number; x: number; y: number; pages: number; terms: (string | Term)[] }[];
  points: { shown: number; total: number; items: MapPoint[] };
}

export interface MapPoint {
  x: number;
  y: number;
  cluster: number;
  title: string;
  domain: string;
  creation_time: string | null;
  score: number | null;
  record_id: string;
}

export interface Page {
  record_id: string;
  cluster: number;
  label: string;
  micro_cluster: number;
  novel: boolean;
  score: number | null;
  creation_time: string | null;
  id: string | null;
  url: string | null;
  title: string | null;
  keywords: string | null;
  description: string | null;
  domain: string | null;
}

export interface Pages {
  pages: Page[];
  read: number;
  total: number;
  next: string | null;
}

export interface Reject {
  record_id: string;
  reason: string;
  source: string;
  bytes: string;
  length: number;
  at: number | null;
  text: string;
}

export interface Rejects {
  by_reason: Record<string, number>;
  rejects: Reject[];
  total: number;
  next: string | null;
}

export interface Lineage {
  events: Record<string, unknown>[];
  total: number;
  next: string | null;
}

/** What became of a change: the commit that has it, or its number among those that wait for a run. */
export type Edit =
  | { edit: "merge"; cluster: number; into: number }
  | { edit: "split"; cluster: number; micro_clusters: number[] }
  | { edit: "move"; micro_clusters: number[]; to: number }
  | { edit: "release"; micro_clusters: number[] }
  | { edit: "undo"; older?: boolean };

/** What an edit does, or would do. */
export interface Edited {
  commit: number | null;
  edit: string | null;
  said: string;
}

export interface Candidate {
  cluster: number;
  label: string;
  micro_cluster: number;
  score: number;
  parts: { kind: string; term: string | null; share: number }[];
}

export interface Explanation {
  record_id: string | null;
  published: { cluster: number; micro_cluster: number; novel: boolean; score: number; label: string } | null;
  page: Record<string, string | null> | null;
  current: { cluster: number; label: string; said: string } | null;
  now: { novel: boolean; threshold: number; winner: Candidate | null; runner_up: Candidate | null };
}

export interface Status {
  standing: string;
  resume: string | null;
  pipeline: string | null;
  files: number;
  file_bytes: number;
  out: string;
  state: string;
  inputs: Input[];
  groups?: { group: string; state: string; members: number; records: number | null; seconds: number | null }[];
  last: { began: string; ended: string | null; reason: string | null; message: string | null; command: string } | null;
  settings?: { key: string; value: unknown; origin: string }[];
  versions?: Record<string, unknown>;
  commits?: { commit: number; at: string | null; rows: number | null; pages: number | null; files: number | null }[];
}

export interface Input {
  source: string;
  unit: string;
  position: number | null;
  rows: number;
  end: number | null;
  behind: number | null;
  seconds: number | null;
}
