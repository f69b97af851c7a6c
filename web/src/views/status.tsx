// How the pipeline stands: commits, how far behind it is, what it was told, which versions.
import { path } from "../api";
import { useAnswer } from "../answer";
import { bytes, count, duration } from "../format";
import { commits } from "../live";
import { chosen, choose } from "../place";
import type { Status } from "../types";
import { Copy, Search, Text, Time, Trouble } from "../ui/parts";
import { Table } from "../ui/table";

export function StatusView() {
  const { data, error } = useAnswer<Status>(path("/status"), commits.value);
  return (
    <>
      <Trouble error={error} />
      {data && (
        <>
          <div class="cluster-grid">
            <Standing data={data} />
            <Versions data={data} />
          </div>
          <Inputs data={data} />
          <Groups data={data} />
          <Commits data={data} />
          <Settings data={data} />
        </>
      )}
    </>
  );
}

function Standing({ data }: { data: Status }) {
  const last = data.last;
  return (
    <section class="panel" aria-label="Standing">
      <h2>Standing</h2>
      <dl class="facts">
        <dt>Pipeline</dt>
        <dd>
          <code>{data.pipeline ?? "none yet"}</code>, {data.standing}
        </dd>
        <dt>Output</dt>
        <dd>
          <code class="clip">{data.out}</code> {count(data.files)} files, {bytes(data.file_bytes)}
        </dd>
        <dt>State</dt>
        <dd>
          <code class="clip">{data.state}</code>
        </dd>
        {last && (
          <>
            <dt>Last run</dt>
            <dd>
              <Time of={last.began} /> {last.ended && <>to <Time of={last.ended} /></>}
              {last.reason && ` (${last.reason.replaceAll("_", " ")})`}
            </dd>
          </>
        )}
        {last?.message && (
          <>
            <dt>It said</dt>
            <dd>
              <Text of={last.message} />
            </dd>
          </>
        )}
      </dl>
      {data.resume && <Copy name="Go on" text={data.resume} />}
    </section>
  );
}

function Versions({ data }: { data: Status }) {
  return (
    <section class="panel" aria-label="Versions">
      <h2>Versions</h2>
      <dl class="facts">
        {Object.entries(data.versions ?? {}).map(([name, value]) => [<dt key={name}>{name.replaceAll("_", " ")}</dt>, <dd key={`${name} is`}>{String(value)}</dd>])}
      </dl>
      <p>
        <a class="button" href={path("/export.html")} download>
          The whole as one page to keep
        </a>
      </p>
    </section>
  );
}

function Inputs({ data }: { data: Status }) {
  const right = true;
  const columns = [{ name: "Input" }, { name: "Read up to", right }, { name: "Rows", right }, { name: "End", right }, { name: "Behind", right }, { name: "Age", right }];
  const rows = data.inputs.map((input, key) => ({
    key,
    cells: [
      <Text of={input.source} class="clip" />,
      `${count(input.position)} ${input.unit}`,
      count(input.rows),
      count(input.end),
      count(input.behind),
      duration(input.seconds),
    ],
  }));
  return (
    <section class="panel" aria-label="Inputs">
      <h2>Inputs</h2>
      {rows.length === 0 ? <p class="faint">No input has been read.</p> : <Table name="Inputs" columns={columns} rows={rows} />}
    </section>
  );
}

function Groups({ data }: { data: Status }) {
  if (!data.groups?.length) return null;
  const right = true;
  const rows = data.groups.map((group) => ({
    key: group.group,
    cells: [<Text of={group.group} />, group.state, count(group.members), count(group.records), duration(group.seconds)],
  }));
  return (
    <section class="panel" aria-label="Who reads the topics">
      <h2>Who reads the topics</h2>
      <Table name="Groups" columns={[{ name: "Group" }, { name: "State" }, { name: "Members", right }, { name: "Behind", right }, { name: "Age", right }]} rows={rows} />
    </section>
  );
}

function Commits({ data }: { data: Status }) {
  const right = true;
  const rows = (data.commits ?? []).map((one) => ({ key: one.commit, cells: [count(one.commit), <Time of={one.at} />, count(one.rows), count(one.pages), count(one.files)] }));
  return (
    <section class="panel" aria-label="Commits">
      <h2>
        Commits <span class="faint">the newest {count(rows.length)}</span>
      </h2>
      {rows.length === 0 ? (
        <p class="faint">Nothing is committed yet.</p>
      ) : (
        <div class="tall">
          <Table name="Commits" columns={[{ name: "Commit", right }, { name: "At" }, { name: "Rows", right }, { name: "Pages", right }, { name: "Files", right }]} rows={rows} />
        </div>
      )}
    </section>
  );
}

function Settings({ data }: { data: Status }) {
  const text = chosen("q").toLowerCase();
  const settings = (data.settings ?? []).filter((one) => one.key.toLowerCase().includes(text));
  const rows = settings.map((one) => ({
    key: one.key,
    cells: [<code>{one.key}</code>, <Text of={typeof one.value === "string" ? one.value : JSON.stringify(one.value)} class="clip" />, <Text of={one.origin} />],
  }));
  return (
    <section class="panel" aria-label="Settings">
      <header class="figure-head">
        <h2>Settings</h2>
        <Search name="Find settings" value={chosen("q")} hint="Part of a name" onSearch={(q) => choose({ q })} />
      </header>
      <Table name="Settings" columns={[{ name: "Key" }, { name: "Value" }, { name: "Set in" }]} rows={rows} />
    </section>
  );
}
