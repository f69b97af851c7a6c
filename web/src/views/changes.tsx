// What changed: lately, by what clusters remember of the order; or in a stretch of time beside the one before, by what is committed.
import { path } from "../api";
import { useAnswer } from "../answer";
import { count } from "../format";
import { choose, chosen } from "../place";
import type { Alarm, Change, Changes as Told, Now, Recent } from "../types";
import { Choice, ClusterLink, Text, Trouble } from "../ui/parts";

const NAMES = { new: "New", grown: "Grown", shrunk: "Shrunk", gone: "Gone", renamed: "Renamed", edited: "Edited", drifted: "Drifted" } as const;
const SIGNS = { new: "+", grown: "↗", shrunk: "↘", gone: "×", renamed: "≈", edited: "✎", drifted: "∿" } as const;
const STRETCHES = [
  ["lately", "Lately"],
  ["commit", "Commit"],
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["30d", "30 d"],
] as const;
type Stretch = (typeof STRETCHES)[number][0];
/** Told until one asks for all. */
const FEW = 6;

export function Changes({ known }: { known: Now }) {
  const asked = STRETCHES.find(([key]) => key === chosen("since"))?.[0];
  // What comes in is told as it comes; what stands, by the times of its pages.
  const stretch: Stretch = asked ?? (known.live || known.commit === null ? "lately" : "24h");
  return (
    <section class="panel changes" aria-label="What changed">
      <header class="figure-head">
        <h2>What changed</h2>
        <div class="tools">
          <Choice name="Since when" value={stretch} of={STRETCHES} onChoose={(since) => choose({ since, told: null })} />
          {stretch !== "lately" && (
            <a class="button" download="changes.csv" href={path("/changes", { since: since(stretch, known), format: "csv" })}>
              CSV
            </a>
          )}
        </div>
      </header>
      {stretch === "lately" ? <Lately changes={known.changes ?? []} alarms={known.alarms ?? []} /> : <Since of={since(stretch, known)} commit={known.commit} />}
    </section>
  );
}

const since = (stretch: Stretch, known: Now): string => (stretch === "commit" ? String(Math.max(0, (known.commit ?? 0) - 1)) : stretch);

function Lately({ changes, alarms }: { changes: Recent[]; alarms: Alarm[] }) {
  if (changes.length + alarms.length === 0) return <p class="faint">No cluster came, went, grew, shrank or drifted lately.</p>;
  return (
    <Few all={changes} alarms={alarms}>
      {(change, index) => (
        <li key={index} data-row>
          <Head kind={change.kind} id={change.cluster} label={change.label} />
          <p class="faint num">
            {change.before !== null && change.before !== undefined && `${count(change.before)} → `}
            {change.now !== null && count(change.now)} pages
          </p>
        </li>
      )}
    </Few>
  );
}

/** Files are read for it: it is asked anew with each commit, and not before. */
function Since({ of, commit }: { of: string; commit: number | null }) {
  const { data, error, old } = useAnswer<Told>(path("/changes", { since: of }), commit);
  if (error) return <Trouble error={error} />;
  if (!data || old) return <p class="faint">reading what is committed…</p>;
  if (!data.said) return <p class="faint">No page with a time is committed yet.</p>;
  return (
    <>
      <p>{data.said}</p>
      <Few all={data.changes} alarms={data.alarms ?? []}>{(change) => <Card key={`${change.change}-${change.cluster}`} change={change} />}</Few>
    </>
  );
}

function Head({ kind, id, label }: { kind: keyof typeof NAMES; id: number; label: string }) {
  return (
    <div class="change-head">
      <span class={`kind ${kind}`}>
        <span aria-hidden="true">{SIGNS[kind]}</span> {NAMES[kind]}
      </span>
      <ClusterLink id={id} label={label} />
    </div>
  );
}

function Card({ change }: { change: Change }) {
  const more = change.new_domains_total - change.new_domains.length;
  return (
    <li data-row>
      <Head kind={change.change} id={change.cluster} label={change.label} />
      <p>{change.said}</p>
      {change.was !== null && (
        <p class="faint">
          Before: <Text of={change.was} />
        </p>
      )}
      {change.new_domains.length > 0 && (
        <p class="faint">
          {change.change === "new" ? "From" : "New domains:"}{" "}
          {change.new_domains.map((one, index) => (
            <span key={one.domain}>
              {index > 0 && ", "}
              <Text of={one.domain} /> ({count(one.pages)})
            </span>
          ))}
          {more > 0 && ` and ${count(more)} more`}
        </p>
      )}
      <ul class="titles">
        {change.titles.map((title, index) => (
          <li key={index}>
            <Text of={title} class="clip" />
          </li>
        ))}
      </ul>
    </li>
  );
}

function AlarmCard({ alarm }: { alarm: Alarm }) {
  return (
    <li data-row>
      <Head kind="drifted" id={alarm.cluster} label={alarm.label} />
      <p>{alarm.said}</p>
    </li>
  );
}

interface FewProps<T> {
  all: T[];
  alarms: Alarm[];
  children: (one: T, index: number) => preact.ComponentChildren;
}

/** Alarms first, and of them and the others the first ones; all when one asks. */
function Few<T>({ all, alarms, children }: FewProps<T>) {
  const whole = chosen("told") === "all";
  const drifted = whole ? alarms : alarms.slice(0, FEW / 2);
  const shown = whole ? all : all.slice(0, FEW - drifted.length);
  const total = all.length + alarms.length;
  return (
    <>
      <ul class="told">
        {drifted.map((alarm) => (
          <AlarmCard key={`drifted-${alarm.cluster}-${alarm.position}`} alarm={alarm} />
        ))}
        {shown.map(children)}
      </ul>
      {total > FEW && (
        <button type="button" aria-expanded={whole} onClick={() => choose({ told: whole ? null : "all" }, false)}>
          {whole ? "The first ones" : `All ${count(total)}`}
        </button>
      )}
    </>
  );
}
