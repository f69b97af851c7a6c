// What every view says before the first commit: what to run.
import { now } from "../live";
import { quoted } from "../format";
import { Empty } from "../ui/parts";

export function NothingYet() {
  const known = now.value;
  const out = known?.out ?? "out";
  if (known?.standing.is === "running") {
    return <Empty title="No page yet">{known.waits ?? "The run has begun; the first commit comes soon."}</Empty>;
  }
  if (known && known.rejects > 0) {
    return <Empty title="No page yet">All rows that were read are rejects: the view Rejects says why.</Empty>;
  }
  return (
    <Empty title="Nothing is committed yet" command={`windrow run --input FILE.csv --out ${quoted(out)}`}>
      This page follows <code>{out}</code> and fills by itself when a run begins.
    </Empty>
  );
}
