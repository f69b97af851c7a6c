// The user's hand: what is put right by it is looked at first, and done when it is as he meant it.
import { useEffect, useState } from "preact/hooks";
import { edit, preview, Refused } from "../api";
import { count } from "../format";
import { now } from "../live";
import type { Cluster, Edit, Edited } from "../types";
import { Notice, Trouble } from "../ui/parts";

/** When a change that is not committed yet will be. */
const left = (): string => (now.value?.standing.is === "running" ? "the run takes it at its next commit" : "the next run takes it");

/** What became of a change. */
export const done = (commit: number | null): string => (commit === null ? left() : `it is done, by commit ${count(commit)}`);

const NAMES: Record<Edit["edit"], string> = { merge: "Merge", split: "Split", move: "Move", release: "Release", undo: "Undo" };

interface HandProps {
  /** What is asked for; none while nothing is. */
  asked: Edit | undefined;
  onEnd: () => void;
}

/** An edit before it is done: what it would do, and the two answers. */
export function Hand({ asked, onEnd }: HandProps) {
  const [would, setWould] = useState<Edited>();
  const [said, setSaid] = useState<string>();
  const [error, setError] = useState<Refused>();
  const failed = (error: unknown) => {
    if (error instanceof Refused) setError(error);
  };
  useEffect(() => {
    setWould(undefined);
    setError(undefined);
    if (!asked) return;
    setSaid(undefined);
    preview(asked).then(setWould, failed);
  }, [asked]);
  const act = async (asked: Edit) => {
    try {
      const { commit, said } = await edit(asked);
      setSaid(`${NAMES[asked.edit]}: ${done(commit)}${commit === null ? "" : `: ${said}`}.`);
      onEnd();
    } catch (error) {
      failed(error);
    }
  };
  return (
    <>
      {asked && would && (
        <div class="notice info" role="group" aria-label="Is it meant so?">
          <div>
            {NAMES[asked.edit]}: {would.said}.
          </div>
          <button type="button" class="hand-yes" onClick={() => void act(asked)}>
            Do it
          </button>
          <button type="button" onClick={onEnd}>
            Leave it
          </button>
        </div>
      )}
      {said && <Notice>{said}</Notice>}
      <Trouble error={error} />
    </>
  );
}

interface OtherProps {
  data: Cluster;
  /** What is done with it. */
  name: string;
  onChoose: (cluster: number) => void;
}

/** Another cluster, by its id; those most like it are proposed. */
export function Other({ data, name, onChoose }: OtherProps) {
  const [id, setId] = useState("");
  const list = `near-${name.replaceAll(" ", "-").toLowerCase()}`;
  const submit = (event: Event) => {
    event.preventDefault();
    if (/^\d+$/.test(id.trim())) onChoose(Number(id));
  };
  return (
    <form class="search" onSubmit={submit}>
      <input inputMode="numeric" aria-label={`${name}: id of the cluster`} placeholder="id of the cluster" list={list} value={id} onInput={(event) => setId(event.currentTarget.value)} />
      <datalist id={list}>
        {(data.neighbours ?? []).map((one) => (
          <option key={one.cluster} value={one.cluster} label={one.label} />
        ))}
      </datalist>
      <button type="submit">{name}</button>
    </form>
  );
}
