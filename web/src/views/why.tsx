// Why a page is where it is: the terms that decided, and the cluster that came second.
import { path } from "../api";
import { useAnswer } from "../answer";
import { score } from "../format";
import { choose, chosen } from "../place";
import type { Candidate, Explanation } from "../types";
import { ClusterLink, PageLink, Text, Trouble } from "../ui/parts";
import { useEffect, useRef } from "preact/hooks";

export function Why() {
  const record = chosen("why");
  return record ? <Panel key={record} record={record} /> : null;
}

function Panel({ record }: { record: string }) {
  const { data, error } = useAnswer<Explanation>(path("/explain", { record_id: record }), null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="panel why-panel" aria-label="Why it is here" data-why>
      <header class="figure-head">
        <h2 ref={heading} tabIndex={-1}>
          Why it is here
        </h2>
        <button type="button" onClick={() => choose({ why: null })}>
          Close
        </button>
      </header>
      <Trouble error={error} />
      {!data && !error && <p class="faint">asking…</p>}
      {data && <Said data={data} />}
    </section>
  );
}

function Said({ data }: { data: Explanation }) {
  const { published, current, now } = data;
  return (
    <>
      {data.page && (
        <p>
          <PageLink url={data.page["url"] ?? null} title={data.page["title"] ?? null} />
        </p>
      )}
      {published && (
        <p>
          At its arrival it was given to <ClusterLink id={published.cluster} label={published.label} />
          {published.novel ? ", where it opened a theme of its own" : ` with a score of ${score(published.score)}`}.
          {current && (
            <>
              {" "}
              It is now in <ClusterLink id={current.cluster} label={current.label} />: {current.said}.
            </>
          )}{" "}
          What follows is where a page like this would go as the model is now; from {score(now.threshold)} on a page belongs.
        </p>
      )}
      <div class="candidates">
        <CandidateOf name={now.novel ? "Nearest" : "Decided for"} one={now.winner} />
        <CandidateOf name="Runner-up" one={now.runner_up} />
      </div>
    </>
  );
}

function CandidateOf({ name, one }: { name: string; one: Candidate | null }) {
  if (!one) {
    return (
      <div>
        <h3>{name}</h3>
        <p class="faint">none came near</p>
      </div>
    );
  }
  const most = Math.max(1e-9, ...one.parts.map((part) => Math.abs(part.share)));
  return (
    <div>
      <h3>
        {name}: <ClusterLink id={one.cluster} label={one.label} /> <span class="num">{score(one.score)}</span>
      </h3>
      <ul class="weighted">
        {one.parts.map((part, index) => (
          <li key={index}>
            <span class="clip">
              <Text of={part.term ?? "all others"} /> <span class="faint">{part.kind}</span>
            </span>
            <span class="share">
              <span class="share-bar" aria-hidden="true">
                <span style={{ width: `${((Math.abs(part.share) / most) * 100).toFixed(1)}%` }} />
              </span>
              {part.share.toFixed(3)}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
