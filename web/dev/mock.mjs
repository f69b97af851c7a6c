// The API with made-up answers, for work on the page without a pipeline: node dev/mock.mjs [ROWS] [PORT], then open the URL.
// Never in the bundle. Texts are hostile on purpose.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";

const ROWS = Number(process.argv[2] ?? 1_000_000);
const PORT = Number(process.argv[3] ?? 8799);
const DIST = join(import.meta.dirname, "../dist");
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const KINDS = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

let seed = 7;
const chance = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const WORDS = "design api editor godot image ocaml vue css delphi crypto خبر عاجل חדשות מבצע 新闻 手机 новости погода εφημερίδα समाचार ข่าว <img src=x onerror=alert(1)> election football recipe weather".split(" ");
const word = () => WORDS[Math.floor(chance() * WORDS.length)];
const words = (n) => Array.from({ length: n }, word).join(" ");
const N = ROWS === 0 ? 0 : ROWS === 1 ? 1 : 42;
const share = Array.from({ length: N }, (_, i) => 1 / (i + 1.5));
const sum = share.reduce((a, b) => a + b, 0);
const BASE = Date.UTC(2024, 2, 1) / 1000;

const clusters = share.map((part, i) => ({
  schema: "windrow.cluster/1", commit: 9, cluster: i + 1, slot: i, delivered: Math.max(1, Math.round((part / sum) * ROWS)), now: Math.max(1, Math.round((part / sum) * ROWS * (0.9 + chance() * 0.2))),
  share: part / sum, label: Array.from({ length: 4 }, word).join(", "), renamed: i === 3, pinned: i === 2, weight: 100 * part, micro_clusters: 3 + Math.floor(chance() * 40), born: 1 + i * 100, latest_at: ROWS,
  terms: Array.from({ length: 12 }, (_, j) => ({ term: word(), kind: "word", weight: 1 / (j + 1) })),
  domains: Array.from({ length: 8 }, (_, j) => ({ domain: `site${(i * 3 + j) % 40}.example.org`, pages: Math.max(1, Math.round(1000 * part / (j + 1))) })),
  languages: [{ language: "en", share: 0.6 }, { language: "he", share: 0.4 }],
  examples: ["representative", "boundary", "latest"].flatMap((kind) => Array.from({ length: 5 }, (_, j) => ({ kind, record_id: `${kind}${j}`, title: words(6), url: j === 1 ? "javascript:alert(1)" : "https://site1.example.org/a/b", score: chance(), creation_time: "2024-03-02T10:00:00Z", copied: j === 0 ? { pages: 312, hosts: 41, hosts_exact: false } : null }))),
  patterns: ["shop.example.org/products/{slug}/{id}", "<img src=x onerror=alert(1)>/{*}", "*/{date}/{slug}"].map((pattern, j) => ({ pattern, hosts: j > 1 ? 17 : 1, pages: Math.round(400 * part / (j + 1)), share: 0.4 / (j + 1) })),
  copies: { pages: 1000, copies: 340, share: 0.34, repeated: Array.from({ length: 4 }, (_, j) => ({ pages: 312 >> j, hosts: 41 >> j, hosts_exact: j > 1, title: words(6), url: j === 1 ? "javascript:alert(1)" : "https://site1.example.org/a/b", record_id: `copy${j}`, first: j, last: 900 + j })) },
  volume: Array.from({ length: 64 }, () => Math.round(chance() * 100 * part * (1 + i % 3))),
}));

const page = (i) => ({ record_id: `r${i}`, cluster: 1 + (i % Math.max(1, N)), label: clusters[i % Math.max(1, N)]?.label ?? "", micro_cluster: i, novel: i % 17 === 0, score: chance(), creation_time: new Date((BASE + i * 60) * 1000).toISOString(), id: String(i), url: i % 9 ? `https://site${i % 40}.example.org/p/${i}` : "javascript:alert(1)", title: i % 7 ? words(8) : "\u202e<script>alert(1)</script>" + "x".repeat(400), keywords: words(4), description: words(20), domain: `site${i % 40}.example.org` });

let sequence = 1;
const now = () => ({
  schema: "windrow.now/1", commit: ROWS ? 9 : null, committed_at: ROWS ? "2024-03-04T10:00:00Z" : null, standing: ROWS ? { is: "ended", at: "2024-03-04T10:00:00Z", reason: "end_of_input", message: null } : { is: "waiting" }, trouble: null,
  rows: ROWS, pages: ROWS, rejects: ROWS > 1 ? 37 : 0, novel: 800, clusters: N, micro_clusters: 700, terms: 90_000, version: "0.1.0", out: "out", live: false, sequence, rows_per_s: null, committed_rows: ROWS, lag: null,
  rejects_by_reason: ROWS > 1 ? { bad_time: 30, invalid_utf8: 7 } : {}, memory_bytes: null, waits: null, resume: ROWS ? "windrow run --input a.csv --out out" : null, topics: { prefix: "cluster_", servers: "localhost:9092" },
  changes: clusters.slice(0, 9).map((c, i) => ({ cluster: c.cluster, label: c.label, kind: ["new", "grown", "shrunk", "gone"][i % 4], before: i % 4 === 0 ? null : 100, now: 100 * i, at: 9 })),
});

function timeline(query) {
  const only = query.get("cluster");
  const named = only ? clusters.filter((c) => String(c.cluster) === only) : clusters.slice(0, Number(query.get("top") ?? 10));
  const n = ROWS > 1 ? 144 : N;
  const counts = (scale) => Array.from({ length: n }, (_, i) => (i > 60 && i < 70 ? null : Math.max(0, Math.round(scale * (1 + Math.sin(i / 9 + scale)) + chance() * scale))));
  return {
    schema: "windrow.timeline/1", clock: query.get("clock") ?? "event", from: BASE, bucket_seconds: 86400, times: Array.from({ length: n }, (_, i) => BASE + i * 86400), series: named.map((c) => ({ cluster: c.cluster, label: c.label, counts: counts(Math.max(1, c.share * 1000)) })),
    other: { clusters: Math.max(0, N - named.length), counts: counts(90) }, undated: 3, gaps: n > 70 ? [{ from: BASE + 61 * 86400, to: BASE + 70 * 86400, why: "nothing ran" }] : [],
  };
}

function domains(query) {
  const columns = clusters.slice(0, Number(query.get("clusters") ?? 12));
  const rows = Array.from({ length: Math.min(30, N * 3) }, (_, i) => ({ domain: `site${i}.example.org`, pages: Math.round(ROWS / (i + 20)) })).filter((d) => d.domain.includes(query.get("q") ?? ""));
  return { clusters: columns.map((c) => ({ cluster: c.cluster, label: c.label, pages: c.delivered })), domains: rows, counts: rows.map((r) => columns.map((c) => Math.floor(chance() ** 4 * r.pages * c.share * 3))), other_clusters: rows.map(() => 12), other_domains: columns.map(() => 99), other: 1234, total: ROWS };
}

function map(query) {
  const at = clusters.map((_, i) => [Math.cos(i * 2.4) * Math.sqrt((i + 0.5) / Math.max(1, N)), Math.sin(i * 2.4) * Math.sqrt((i + 0.5) / Math.max(1, N))]);
  const n = Math.min(ROWS, Number(query.get("points") ?? 5000));
  const near = (i, far) => ({ x: at[i][0] + (chance() - 0.5) * far, y: at[i][1] + (chance() - 0.5) * far });
  return {
    generation: 1, clusters: clusters.map((c, i) => ({ cluster: c.cluster, label: c.label, x: at[i][0], y: at[i][1], pages: c.delivered, now: c.now })),
    themes: clusters.flatMap((c, i) => Array.from({ length: 6 }, (_, j) => ({ micro_cluster: i * 10 + j, cluster: c.cluster, ...near(i, 0.2), pages: 5, terms: [word(), word()] }))),
    points: { shown: n, total: ROWS, items: Array.from({ length: n }, (_, k) => { const i = Math.floor(chance() ** 2 * N); return { ...near(i, 0.3), cluster: i + 1, title: words(5), domain: "site1.example.org", creation_time: "2024-03-02T10:00:00Z", score: 0.4, record_id: `p${k}` }; }) },
  };
}

const ANSWERS = [
  [/^\/now$/, now],
  [/^\/clusters$/, () => ({ commit: 9, total: N, clusters })],
  [/^\/clusters\/(\d+)$/, (_, [, id]) => clusters[id - 1] && { ...clusters[id - 1], state: "alive", themes: Array.from({ length: 12 }, (_, i) => ({ micro_cluster: i, pages: 100 - i, weight: 5, terms: [1, 2, 3].map(() => ({ term: word(), weight: 1 })) })), themes_total: 31, neighbours: clusters.slice(3, 9).map((c, i) => ({ cluster: c.cluster, label: c.label, likeness: 0.8 - i / 10 })), topic: `cluster_${id}` }],
  [/^\/clusters\/\d+\/pages$|^\/pages$/, (query) => query.get("q")?.includes("!!") ? null : { pages: Array.from({ length: Math.min(ROWS, Number(query.get("limit") ?? 100)) }, (_, i) => page(i)), read: ROWS, total: ROWS, next: ROWS > 100 ? "x" : null }],
  [/^\/timeline$/, timeline],
  [/^\/messages$/, (query) => ({ clock: "event", window: query.get("window") ?? "all", from: BASE, to: BASE + 144 * 86400, total: ROWS, clusters: clusters.map((c) => ({ cluster: c.cluster, label: c.label, pages: c.delivered, share: c.share, alive: c.cluster !== 5 })) })],
  [/^\/domains$/, domains],
  [/^\/map$/, map],
  [/^\/changes$/, () => ({ alarms: [{ change: "drifted", cluster: 1, label: words(3), position: 12300, measure: "new_words", value: 0.34, usual: [0.03, 0.08], since: 12050, said: "34 % of its words are new to it, where 3 to 8 % is usual. Seen at page 12,300, since page 12,050." }], schema: "windrow.changes/1", said: ROWS ? "2024-03-01 to 2024-03-02: 200 pages, 100 % more than the 100 before. 9 clusters: 4 new, 3 gone." : "", changes: clusters.slice(0, 9).map((c, i) => ({ change: ["new", "grown", "shrunk", "gone", "renamed", "edited"][i % 6], cluster: c.cluster, label: c.label, was: i % 6 === 4 ? words(4) : null, said: "12 pages after 100: 0.4 % of all, down from 3.0 %.", new_domains: [{ domain: `site${i}.example.org`, pages: 7 }], new_domains_total: 3, titles: [words(9), words(5), "<script>alert(1)</script>" + "x".repeat(200)] })) })],
  [/^\/rejects$/, () => ({ by_reason: { bad_time: 30, invalid_utf8: 7 }, rejects: Array.from({ length: 12 }, (_, i) => ({ record_id: `j${i}`, reason: i % 3 ? "bad_time" : "invalid_utf8", source: "a.csv", bytes: Buffer.from(`2024,7,https://a.example,<b>${i}\xff</b>,,x`, "latin1").toString("base64"), length: 38, at: i % 3 ? 4 : 29, text: "2024,7,<script>alert(1)</script>" })), next: null })],
  [/^\/lineage$/, () => ({ events: [{ epoch: 3, position: 200, event: "micro_moved", cluster: 7, micro_cluster: 12, from_cluster: 5, why: "nearer", likeness: 0.61, likeness_before: 0.48, threshold: 0.5, said: "more like this cluster than like the one before: likeness 0.61, against 0.48" }], total: 1, next: null })],
  [/^\/explain$/, () => ({ record_id: "r1", published: { cluster: 1, micro_cluster: 4, novel: false, score: 0.61, label: words(3) }, page: { title: words(6), url: "https://a.example/x" }, current: { cluster: 2, label: words(3), said: "merged into it by you at commit 5" }, now: { novel: false, threshold: 0.3, winner: { cluster: 1, label: words(3), micro_cluster: 4, score: 0.61, parts: [1, 2, 3, 4].map((i) => ({ kind: "word", term: word(), share: 0.3 / i })) }, runner_up: { cluster: 2, label: words(3), micro_cluster: 9, score: 0.2, parts: [{ kind: "url", term: word(), share: 0.2 }] } } })],
  [/^\/status$/, () => ({ standing: "ended", resume: "windrow run --out out", pipeline: "p1", files: 12, file_bytes: 123456789, out: "out", state: "out/state", inputs: [{ source: "a.csv", unit: "bytes", position: 123456, rows: ROWS, end: 123456, behind: 0, seconds: null }], groups: [], last: { began: "2024-03-04T09:00:00Z", ended: "2024-03-04T10:00:00Z", reason: "end_of_input", message: null, command: "run" }, settings: [{ key: "model.clusters", value: 50, origin: "default" }], versions: { windrow: "0.1.0" }, commits: Array.from({ length: 9 }, (_, i) => ({ commit: 9 - i, at: "2024-03-04T10:00:00Z", rows: 1000 * (9 - i), pages: 1000 * (9 - i), files: 2 })) })],
];

function api(url, request, response) {
  const route = url.pathname.replace("/api/v1", "");
  if (route === "/events" || route.endsWith("/stream")) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`id: ${sequence}\nevent: now\ndata: ${JSON.stringify(now())}\n\n`);
    return;
  }
  const send = (status, body) => response.writeHead(status, { "content-type": "application/json", "content-security-policy": POLICY }).end(JSON.stringify(body));
  if (request.method === "POST") return send(202, { schema: "windrow.edit/1", edit: "1", commit: null, said: "cluster 12 would end; 81 of the newest 5,000 pages would move" });
  for (const [pattern, answer] of ANSWERS) {
    const found = pattern.exec(route);
    const body = found && answer(url.searchParams, found);
    if (body) return send(200, body);
  }
  send(400, { code: "E-HTTP-QUERY", message: "at 3: not a word of the filter: !!", hint: "see docs/reference/api.md" });
}

createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname.startsWith("/api/")) return api(url, request, response);
  const file = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
  try {
    const bytes = readFileSync(join(DIST, file));
    response.writeHead(200, { "content-type": KINDS[extname(file)] ?? "application/octet-stream", "content-security-policy": POLICY }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}).listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/`));
