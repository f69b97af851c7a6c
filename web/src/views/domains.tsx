// Which domain feeds which cluster: the largest of both, and what is left over.
import { path } from "../api";
import { useAnswer } from "../answer";
import { ground, HeatPicture, mostOf } from "../charts/heat";
import { count } from "../format";
import { now } from "../live";
import { choose, chosen, to, toCluster } from "../place";
import type { Domains } from "../types";
import { Figure } from "../ui/figure";
import { Search, Text, Trouble } from "../ui/parts";
import { NothingYet } from "./nothing";

export function DomainsView() {
  const query = { top: chosen("top", "30"), clusters: chosen("clusters", "10"), q: chosen("q") };
  const { data, error } = useAnswer<Domains>(now.value?.pages === 0 ? null : path("/domains", query));
  if (now.value?.pages === 0) return <NothingYet />;
  const sorted = data && inOrder(data, chosen("sort", "pages"));
  const tools = (
    <>
      <Search name="Find domains" value={query.q} hint="Part of a domain" onSearch={(q) => choose({ q })} />
      <label class="pick">
        Clusters
        <select value={query.clusters} onChange={(event) => choose({ clusters: event.currentTarget.value })}>
          {["5", "10", "20", "30"].map((n) => (
            <option key={n}>{n}</option>
          ))}
        </select>
      </label>
    </>
  );
  return (
    <Figure
      file="domains"
      title="Domains and clusters"
      note={sorted && `the ${count(sorted.domains.length)} largest main domains and the ${count(sorted.clusters.length)} largest clusters of ${count(sorted.total)} pages; a head sorts`}
      tools={tools}
      twin={sorted ? twin(sorted) : { columns: [], rows: [] }}
      csv={path("/domains", { ...query, format: "csv" })}
      picture={(width) => (sorted ? <HeatPicture data={sorted} width={width} /> : <svg />)}
    >
      {() => (
        <>
          <Trouble error={error} />
          {sorted && sorted.domains.length === 0 && <p class="faint">No main domain holds this text.</p>}
          {sorted && sorted.domains.length > 0 && <Heat data={sorted} sorted={chosen("sort", "pages")} />}
        </>
      )}
    </Figure>
  );
}

/** By all pages, by name, or by the pages of one cluster. */
function inOrder(data: Domains, by: string): Domains {
  const column = data.clusters.findIndex((cluster) => String(cluster.cluster) === by);
  const order = data.domains.map((_, row) => row);
  if (by === "name") order.sort((a, b) => (data.domains[a]?.domain ?? "").localeCompare(data.domains[b]?.domain ?? ""));
  else if (column >= 0) order.sort((a, b) => (data.counts[b]?.[column] ?? 0) - (data.counts[a]?.[column] ?? 0));
  const pick = <T,>(from: T[]) => order.flatMap((row) => (from[row] === undefined ? [] : [from[row] as T]));
  return { ...data, domains: pick(data.domains), counts: pick(data.counts), other_clusters: pick(data.other_clusters) };
}

function twin(data: Domains) {
  const right = true;
  const columns = [{ name: "Domain" }, ...data.clusters.map((c) => ({ name: `${c.cluster} ${c.label}`, right })), { name: "Other clusters", right }, { name: "All", right }];
  const rows = data.domains.map((d, row) => [<Text of={d.domain} />, ...(data.counts[row] ?? []).map((n) => count(n)), count(data.other_clusters[row]), count(d.pages)]);
  rows.push(["Other domains", ...data.other_domains.map((n) => count(n)), count(data.other), ""]);
  return { columns, rows };
}

function Sorter({ by, sorted, children }: { by: string; sorted: string; children: preact.ComponentChildren }) {
  return (
    <button type="button" class="sort" onClick={() => choose({ sort: by === "pages" ? null : by })}>
      {children}
      <span aria-hidden="true">{by !== sorted ? "" : by === "name" ? "\u00a0▴" : "\u00a0▾"}</span>
    </button>
  );
}

/** How a head says that it sorts. */
const order = (by: string, sorted: string) => (by !== sorted ? "none" : by === "name" ? "ascending" : "descending");

function Heat({ data, sorted }: { data: Domains; sorted: string }) {
  const most = mostOf(data);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Domains and clusters">
      <table class="heat">
        <thead>
          <tr>
            <th scope="col" aria-sort={order("name", sorted)}>
              <Sorter by="name" sorted={sorted}>
                Main domain
              </Sorter>
            </th>
            <th scope="col" class="right" aria-sort={order("pages", sorted)}>
              <Sorter by="pages" sorted={sorted}>
                All
              </Sorter>
            </th>
            {data.clusters.map((cluster) => (
              <th scope="col" key={cluster.cluster} class="heat-head" aria-sort={order(String(cluster.cluster), sorted)}>
                <a href={toCluster(cluster.cluster)} title={cluster.label}>
                  <Text of={cluster.label || `cluster ${cluster.cluster}`} />
                </a>
                <Sorter by={String(cluster.cluster)} sorted={sorted}>
                  {cluster.cluster}
                </Sorter>
              </th>
            ))}
            <th scope="col" class="right">
              Other clusters
            </th>
          </tr>
        </thead>
        <tbody>
          {data.domains.map((domain, row) => (
            <tr key={domain.domain} data-row>
              <th scope="row">
                <a class="clip" href={to("pages", { q: `host:${domain.domain}` })}>
                  <Text of={domain.domain} />
                </a>
              </th>
              <td class="right">{count(domain.pages)}</td>
              {(data.counts[row] ?? []).map((n, index) => (
                <Cell key={index} n={n} most={most} />
              ))}
              <td class="right">{count(data.other_clusters[row])}</td>
            </tr>
          ))}
          <tr class="rest">
            <th scope="row">other domains</th>
            <td />
            {data.other_domains.map((n, index) => (
              <td key={index} class="right">
                {count(n)}
              </td>
            ))}
            <td class="right">{count(data.other)}</td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

function Cell({ n, most }: { n: number; most: number }) {
  return (
    <td class="heat-cell" style={{ backgroundColor: ground(n, most) }}>
      {n > 0 ? count(n) : <span class="faint">·</span>}
    </td>
  );
}
