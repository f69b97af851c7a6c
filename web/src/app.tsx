// The frame around the views: how the pipeline stands, the way from view to view, and what must be said at once.
import { useEffect, useRef } from "preact/hooks";
import { awaited } from "./answer";
import { count, duration } from "./format";
import { helpIsOpen, KEYS, onKey, WAYS } from "./keys";
import { isStranger, loaded, missed, now, pause, paused, silentSince } from "./live";
import { place, to, type View } from "./place";
import { choice, turn } from "./theme";
import type { Now } from "./types";
import { Copy, Notice, Text, Time } from "./ui/parts";
import { ClusterView } from "./views/cluster";
import { DomainsView } from "./views/domains";
import { MapView } from "./views/map";
import { MessagesView } from "./views/messages";
import { NowView } from "./views/now";
import { PagesView } from "./views/pages";
import { RejectsView } from "./views/rejects";
import { StatusView } from "./views/status";

const NAMES: [View, string][] = [
  ["now", "Now"],
  ["messages", "Messages"],
  ["domains", "Domains"],
  ["map", "Map"],
  ["pages", "Pages"],
  ["rejects", "Rejects"],
  ["status", "Status"],
];

const SHOWN: Record<View, () => preact.JSX.Element | null> = {
  now: NowView,
  messages: MessagesView,
  domains: DomainsView,
  map: MapView,
  cluster: ClusterView,
  pages: PagesView,
  rejects: RejectsView,
  status: StatusView,
};

export function App() {
  const { view, id } = place.value;
  const Shown = SHOWN[view];
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    const name = NAMES.find(([known]) => known === view)?.[1] ?? `Cluster ${id}`;
    document.title = `${name} – Windrow`;
    scrollTo(0, 0);
  }, [view, id]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => skip(event)}>
        To the content
      </a>
      <Top view={view} />
      <main id="main" tabIndex={-1} data-view={view} aria-busy={!loaded.value || awaited.value > 0}>
        <h1 class="unseen">{NAMES.find(([known]) => known === view)?.[1] ?? `Cluster ${id}`}</h1>
        <Silent />
        <Stands />
        {loaded.value ? <Shown key={`${view} ${id}`} /> : <p class="faint">{silentSince.value === null ? "asking the server…" : ""}</p>}
      </main>
      <footer class="page-foot">
        Windrow {now.value?.version ?? ""} · {now.value?.out && <Text of={now.value.out} />} ·{" "}
        <button type="button" class="link" onClick={() => (helpIsOpen.value = true)}>
          keys: ?
        </button>
      </footer>
      <Help />
    </>
  );
}

/** The address is the view's: going to the content must not change it. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Top({ view }: { view: View }) {
  const theme = { system: "◐ System", light: "○ Light", dark: "● Dark" }[choice.value];
  return (
    <header class="top">
      <a class="brand" href={to("now")}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <g fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round">
            <path d="M4 10c5-5 9 5 14 0s7-2 10-1" />
            <path d="M4 17c5-5 9 5 14 0s7-2 10-1" opacity=".75" />
            <path d="M4 24c5-5 9 5 14 0s7-2 10-1" opacity=".5" />
          </g>
        </svg>
        Windrow
      </a>
      <nav aria-label="Views">
        {NAMES.map(([name, label]) => (
          <a key={name} href={to(name)} aria-current={name === view || (view === "cluster" && name === "now") ? "page" : undefined}>
            {label}
            {name === "rejects" && (now.value?.rejects ?? 0) > 0 && <span class="badge">{count(now.value?.rejects)}</span>}
          </a>
        ))}
      </nav>
      <div class="top-tools">
        <State known={now.value} />
        <button type="button" aria-pressed={paused.value} onClick={pause}>
          {paused.value ? `Paused · ${count(missed.value)} new` : "Pause"}
        </button>
        <button type="button" onClick={turn} aria-label={`Colours: ${choice.value}`}>
          {theme}
        </button>
      </div>
    </header>
  );
}

const STATES = { running: ["●", "running"], waiting: ["○", "waiting"], ended: ["■", "stopped"], gone: ["×", "gone"] } as const;

function State({ known }: { known: Now | null }) {
  if (!known) return null;
  const waits = known.standing.is === "running" && known.waits;
  const [sign, word] = waits ? (["◌", "waiting"] as const) : STATES[known.standing.is];
  return (
    <span class={`state ${waits ? "waits" : known.standing.is}`} role="status">
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}

/** The stream broke: what is shown is old, and says since when. */
function Silent() {
  const since = silentSince.value;
  if (since === null) return null;
  if (isStranger.value) {
    return (
      <Notice kind="bad">
        The server was started anew, with another token: open the URL that it printed. What is shown is what was known at <Time of={new Date(since).toISOString()} />.
      </Notice>
    );
  }
  return (
    <Notice kind="warn">
      No word from the server since <Time of={new Date(since).toISOString()} />. What is shown is what was known then; it is tried again all the time.
    </Notice>
  );
}

/** Why nothing runs, and how to go on. */
function Stands() {
  const known = now.value;
  if (!known) return null;
  return (
    <>
      {known.trouble && (
        <Notice kind="bad">
          <Text of={known.trouble} />
        </Notice>
      )}
      {known.standing.is === "running" && known.waits && (
        <Notice kind="warn">
          <Text of={known.waits} />
        </Notice>
      )}
      {known.standing.is === "running" && (known.lag?.seconds ?? 0) > 60 && <Notice kind="warn">The run is {duration(known.lag?.seconds)} behind its input.</Notice>}
      {known.standing.is === "ended" && <Ended known={known} />}
      {known.standing.is === "gone" && (
        <Notice kind="bad">
          <div class="said">
            <span>
              The run was killed: nobody knows why, or when. Its last commit was <Time of={known.committed_at} />; all that it had committed is whole, and is shown.
            </span>
            {known.resume && <Copy name="Go on" text={known.resume} />}
          </div>
        </Notice>
      )}
    </>
  );
}

const REASONS: Record<string, string> = {
  end_of_input: "it had read all of its input",
  stopped: "it was told to stop",
  interrupted: "it was interrupted with Ctrl-C",
};

function Ended({ known }: { known: Now }) {
  const { at, reason, message } = known.standing;
  const why = REASONS[reason ?? ""];
  return (
    <Notice kind={why ? "info" : "bad"}>
      <div class="said">
        <span>
          The run stopped <Time of={at} />: {why ?? <Text of={[reason, message].filter(Boolean).join(": ")} />}.
        </span>
        {known.resume && <Copy name="Go on" text={known.resume} />}
      </div>
    </Notice>
  );
}

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helpIsOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [helpIsOpen.value]);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={() => (helpIsOpen.value = false)}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => [
          <dt key={key}>
            {key.split(" ").map((one) => (
              <kbd key={one}>{one}</kbd>
            ))}
          </dt>,
          <dd key={`${key} does`}>{what}</dd>,
        ])}
        {WAYS.map(([key, , name]) => [
          <dt key={`g ${key}`}>
            <kbd>g</kbd> <kbd>{key}</kbd>
          </dt>,
          <dd key={`g ${key} does`}>{name}</dd>,
        ])}
      </dl>
      <button type="button" onClick={() => (helpIsOpen.value = false)}>
        Close
      </button>
    </dialog>
  );
}
