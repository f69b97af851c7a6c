// Rows that became no page: why, how many, and their bytes.
import { useState } from "preact/hooks";
import { ask, path, Refused } from "../api";
import { useAnswer } from "../answer";
import { count, quoted } from "../format";
import { now } from "../live";
import { choose, chosen } from "../place";
import type { Reject, Rejects } from "../types";
import { Copy, Empty, Text, Trouble } from "../ui/parts";
import { NothingYet } from "./nothing";

export function RejectsView() {
  const known = now.value;
  if (known && known.rows === 0) return <NothingYet />;
  if (known && known.rejects === 0) {
    return <Empty title="No rejects">Every one of {count(known.rows)} rows became a page.</Empty>;
  }
  const reason = chosen("reason");
  return <Listed key={reason} reason={reason} />;
}

function Listed({ reason }: { reason: string }) {
  const { data, error } = useAnswer<Rejects>(path("/rejects", { reason, limit: 50 }));
  const [more, setMore] = useState<Rejects[]>([]);
  const [failed, setFailed] = useState<Refused>();
  const reasons = Object.entries(now.value?.rejects_by_reason ?? data?.by_reason ?? {}).sort((a, b) => b[1] - a[1]);
  const all = data ? [data, ...more].flatMap((part) => part.rejects) : [];
  const next = (more[more.length - 1] ?? data)?.next;
  const older = async () => {
    try {
      const part = await ask<Rejects>(path("/rejects", { reason, limit: 50, before: next }));
      setMore((before) => [...before, part]);
    } catch (error) {
      if (error instanceof Refused) setFailed(error);
    }
  };
  return (
    <>
      <section class="panel" aria-label="Reasons">
        <header class="figure-head">
          <h2>Rejects by reason</h2>
          <a class="button" data-export download="rejects.csv" href={path("/rejects", { reason, limit: 10_000, format: "csv" })}>
            CSV
          </a>
        </header>
        <Reasons reasons={reasons} chosenOne={reason} />
      </section>
      <section class="panel" aria-label="Rejects">
        <h2>
          {reason ? <Text of={reason} /> : "All reasons"} <span class="faint">newest first</span>
        </h2>
        <Trouble error={error ?? failed} />
        <ul class="rejects">
          {all.map((reject) => (
            <One key={reject.record_id} reject={reject} />
          ))}
        </ul>
        {next && (
          <button type="button" onClick={() => void older()}>
            Older
          </button>
        )}
      </section>
      <section class="panel" aria-label="What to do">
        <h2>What to do with them</h2>
        <Copy name="List" text={`windrow rejects list --out ${quoted(now.value?.out ?? "out")}`} />
        {now.value?.topics && <Copy name="Send again" text="windrow rejects replay --dry-run" />}
      </section>
    </>
  );
}

function Reasons({ reasons, chosenOne }: { reasons: [string, number][]; chosenOne: string }) {
  const most = Math.max(1, ...reasons.map(([, n]) => n));
  return (
    <ul class="weighted">
      {reasons.map(([reason, n]) => (
        <li key={reason} data-row>
          <button type="button" class="link" aria-pressed={reason === chosenOne} onClick={() => choose({ reason: reason === chosenOne ? null : reason })}>
            <Text of={reason.replaceAll("_", " ")} />
          </button>
          <span class="share">
            <span class="share-bar bad" aria-hidden="true">
              <span style={{ width: `${((n / most) * 100).toFixed(1)}%` }} />
            </span>
            {count(n)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function One({ reject }: { reject: Reject }) {
  return (
    <li data-row>
      <div class="reject-head">
        <span class="tag bad">{reject.reason.replaceAll("_", " ")}</span>
        <Text of={reject.source} class="clip" />
        <span class="faint">
          {count(reject.length)} bytes{reject.at !== null && `, wrong at byte ${count(reject.at)}`}
        </span>
        <code class="faint clip">{reject.record_id}</code>
      </div>
      <Bytes of={decoded(reject.bytes)} at={reject.at} />
      <details>
        <summary>As text</summary>
        <pre class="raw" dir="auto" tabIndex={0}>{reject.text}</pre>
      </details>
    </li>
  );
}

function decoded(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

const BEFORE = 48;
const SHOWN = 192;

/** The bytes around the place that is wrong: printable ones as they are, others in hexadecimal digits, the wrong one marked. */
function Bytes({ of, at }: { of: Uint8Array; at: number | null }) {
  const from = at === null ? 0 : Math.max(0, at - BEFORE);
  const part = [...of.slice(from, from + SHOWN)];
  const piece = (byte: number) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`);
  const wrong = at === null ? -1 : at - from;
  const text = (bytes: number[]) => bytes.map(piece).join("");
  const byte = part[wrong];
  return (
    <code class="bytes">
      {from > 0 && <span class="faint">…</span>}
      {byte === undefined ? (
        text(part)
      ) : (
        <>
          {text(part.slice(0, wrong))}
          <mark>{piece(byte)}</mark>
          {text(part.slice(wrong + 1))}
        </>
      )}
      {from + SHOWN < of.length && <span class="faint">…</span>}
    </code>
  );
}
