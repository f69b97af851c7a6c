// Rows that became no page: why, how many, and their bytes.
import { useState } from "preact/hooks";
import { ask, path, Refused } from "../api";
import { useAnswer } from "../answer";
import { count, quoted } from "../format";
import { commits, now } from "../live";
import { choose, chosen } from "../place";
import type { Reject, Rejects } from "../types";
import { Copy, CsvLink, Empty, Text, Trouble } from "../ui/parts";
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
  const { data, error } = useAnswer<Rejects>(path("/rejects", { reason, limit: 20 }), commits.value);
  const [more, setMore] = useState<Rejects[]>([]);
  const [failed, setFailed] = useState<Refused>();
  const reasons = Object.entries(now.value?.rejects_by_reason ?? data?.by_reason ?? {}).sort((a, b) => b[1] - a[1]);
  const all = data ? [data, ...more].flatMap((part) => part.rejects) : [];
  const next = (more[more.length - 1] ?? data)?.next;
  const older = async () => {
    try {
      const part = await ask<Rejects>(path("/rejects", { reason, limit: 20, before: next }));
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
          <CsvLink file="rejects" route="/rejects" query={{ reason }} total={data?.total} />
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

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** The character that begins here, if one does that can be shown; else the byte in hexadecimal digits. */
function piece(of: Uint8Array, at: number): { text: string; length: number } {
  const byte = of[at] ?? 0;
  const length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  try {
    const text = UTF8.decode(of.subarray(at, at + length));
    if ([...text].length === 1 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) return { text, length };
  } catch {
    // No character begins here.
  }
  return { text: `\\x${byte.toString(16).padStart(2, "0")}`, length: 1 };
}

/** The bytes around the place that is wrong, which is marked. */
function Bytes({ of, at }: { of: Uint8Array; at: number | null }) {
  const from = at === null ? 0 : Math.max(0, at - BEFORE);
  const to = Math.min(of.length, from + SHOWN);
  const parts: [string, string, string] = ["", "", ""];
  for (let here = from; here < to; ) {
    const { text, length } = piece(of, here);
    const part = at === null || here + length <= at ? 0 : here <= at ? 1 : 2;
    parts[part] += text;
    here += length;
  }
  return (
    <code class="bytes" dir="ltr">
      {from > 0 && <span class="faint">…</span>}
      <bdi dir="ltr">{parts[0]}</bdi>
      {parts[1] && <mark>{parts[1]}</mark>}
      <bdi dir="ltr">{parts[2]}</bdi>
      {to < of.length && <span class="faint">…</span>}
    </code>
  );
}
