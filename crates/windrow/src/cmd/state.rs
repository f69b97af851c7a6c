//! `windrow state`: what is committed, whether its bytes are whole, where an old id lives now; its files in the formats of this program.

use clap::Subcommand;
use serde_json::{Value, json};
use windrow_core::cluster::{ClusterId, MicroId};
use windrow_engine::checkpoint::manifest::{self, Manifest, SnapshotEntry};
use windrow_engine::checkpoint::migrate::{self, Change, Part};
use windrow_engine::checkpoint::refused::{self, Refused};
use windrow_engine::checkpoint::{Committed, Reading, edits, verify};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::lookup::{self, Fate};
use windrow_engine::sink::{Family, PublishedFile};

use super::clusters::{Place, PlaceKeys};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, SettingFlags};
use crate::term::{Style, text};

/// Look at the state: commits, snapshots, checksums, old ids
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow state inspect --out out      what is committed
  windrow state verify --out out       check every byte against its checksum
  windrow state alias 4711 --out out   where an old id lives now
  windrow state migrate --dry-run --out out   what an upgrade would write anew
")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print formats, epoch, positions, snapshots and files
    #[command(before_help = "Examples:\n  windrow state inspect --out out -o json\n")]
    Inspect {
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
    /// Check manifest, snapshots and published files against their checksums
    #[command(before_help = "Examples:\n  windrow state verify --out out\n")]
    Verify {
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
    /// Write a state of an older program anew, in this one's formats
    #[command(before_help = "Examples:
  windrow state migrate --dry-run --out out
  windrow state migrate --out out -o json

Reads no rows and changes no answer. A run does the same at its next commit; an
older program refuses the state from then on.
")]
    Migrate {
        /// Show what would be written anew, and write nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
    /// Say where a micro-cluster or cluster lives now
    #[command(before_help = "Examples:\n  windrow state alias 4711 --out out\n")]
    Alias {
        /// Id of a micro-cluster or of a cluster: both are told
        id: u64,
        #[command(flatten)]
        settings: SettingFlags<PlaceKeys>,
    },
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let (What::Inspect { settings }
    | What::Verify { settings }
    | What::Migrate { settings, .. }
    | What::Alias { settings, .. }) = &args.what;
    let place = Place::new(app, settings)?;
    match &args.what {
        What::Inspect { .. } => inspect(&place.committed()?, app),
        What::Verify { .. } => verify(&place.committed()?, app),
        What::Migrate { dry_run, .. } => migrate(&place, *dry_run, app),
        What::Alias { id, .. } => alias(&place.read()?.ok_or_else(|| place.nothing())?, *id, app),
    }
}

/// What `inspect` shows beside the manifest.
struct Found<'a> {
    format: u32,
    files: Vec<PublishedFile>,
    snapshots: Vec<(&'a SnapshotEntry, Option<String>)>,
    waiting: u64,
    refused: Vec<Refused>,
}

fn inspect(committed: &Committed, app: &mut App) -> Done {
    let files = committed.manifest.all_files(&committed.layout.history())?;
    let inbox = committed.layout.inbox();
    let found = Found {
        format: Manifest::format_of(&committed.layout.manifest())?,
        files,
        snapshots: verify::look_at_snapshots(committed)?,
        waiting: edits::n_waiting(&inbox)?,
        refused: refused::list(&inbox)?,
    };
    match app.term.format {
        Format::Text => tell(committed, &found, app)?,
        _ => app.term.object(&object(committed, &found))?,
    }
    Ok(Exit::Fine)
}

fn size(committed: &Committed, snapshot: &SnapshotEntry) -> u64 {
    std::fs::metadata(committed.layout.snapshots().join(&snapshot.name)).map_or(0, |about| about.len())
}

fn object(committed: &Committed, found: &Found<'_>) -> Value {
    let manifest = &committed.manifest;
    let snapshot = |(entry, problem): &(&SnapshotEntry, Option<String>)| {
        json!({
            "commit": entry.epoch,
            "name": entry.name,
            "hash": entry.model,
            "bytes": size(committed, entry),
            "rows": entry.counters.rows,
            "problem": problem,
        })
    };
    json!({
        "schema": "windrow.state/1",
        "state": committed.layout.state,
        "pipeline": manifest.pipeline,
        "written_by": manifest.version,
        "manifest_format": found.format,
        "snapshot_format": windrow_core::snapshot::FORMAT,
        "commit": manifest.epoch,
        "written_at": text::time(manifest.written_at),
        "counters": manifest.counters,
        "model": manifest.model,
        "features": manifest.fields,
        "columns": manifest.columns,
        "keep": manifest.keep.words(),
        "max_record": manifest.max_record,
        "edits": manifest.edits,
        "waiting_edits": found.waiting,
        "refused_edits": found.refused,
        "sources": manifest.positions.sources,
        "snapshots": found.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
        "files": found.files,
        "running": committed.holder,
    })
}

fn tell(committed: &Committed, found: &Found<'_>, app: &mut App) -> Result<(), Failure> {
    let manifest = &committed.manifest;
    let counters = &manifest.counters;
    let running = match &committed.holder {
        Some(holder) => format!("yes, process {} on {}", holder.pid, holder.host),
        None => "no".to_owned(),
    };
    let (pages, rejects) = (text::counted(counters.pages, "page"), text::counted(counters.n_rejects(), "reject"));
    let older =
        if found.format < manifest::FORMAT { format!(" (this program writes {})", manifest::FORMAT) } else { String::new() };
    let facts = [
        ("state", committed.layout.state.display().to_string()),
        ("pipeline", format!("{}, written by windrow {}", manifest.pipeline, manifest.version)),
        ("formats", format!("manifest {}{older}, snapshot {}", found.format, windrow_core::snapshot::FORMAT)),
        ("commit", format!("{} at {}", manifest.epoch, text::time(manifest.written_at))),
        ("rows", format!("{}: {pages}, {rejects}", text::count(counters.rows))),
        ("model", manifest.model.to_string()),
        ("running", running),
    ];
    facts.iter().try_for_each(|(name, value)| fact(name, value, app))?;
    if found.waiting > 0 {
        fact("waiting", &format!("{} for the next rows or the next run", text::counted(found.waiting, "edit")), app)?;
    }
    for refused in &found.refused {
        fact("refused", &format!("edit {}: {}: {}", refused.request, refused.reason, refused.asked), app)?;
    }
    for (ordinal, source) in manifest.positions.sources.iter().enumerate() {
        let rows = text::counted(source.rows, "row");
        fact("source", &format!("{ordinal} {}: {rows} up to byte {}", source.name, text::count(source.offset)), app)?;
    }
    for (entry, problem) in &found.snapshots {
        let state = problem.as_ref().map(|problem| format!("damaged: {problem}")).unwrap_or_else(|| entry.model.clone());
        fact("snapshot", &format!("{} {} {state}", entry.name, text::bytes(size(committed, entry))), app)?;
    }
    for family in Family::ALL {
        let of_family: Vec<_> = found.files.iter().filter(|file| file.family == family).collect();
        let (rows, bytes) = of_family.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
        let n_files = text::counted(of_family.len() as u64, "file");
        fact(family.folder(), &format!("{n_files}, {}, {}", text::counted(rows, "row"), text::bytes(bytes)), app)?;
    }
    Ok(())
}

fn fact(name: &str, value: &str, app: &mut App) -> Result<(), Failure> {
    let name = app.term.paint(Style::Dim, &text::fit(name, 9, true));
    let width = app.term.width() - 11;
    app.term.line(&format!("{name}  {}", text::cut(&text::plain(value), width)))
}

fn verify(committed: &Committed, app: &mut App) -> Done {
    let findings = verify::verify(committed)?;
    if app.term.format == Format::Tsv {
        app.term.tsv(&["what", "name", "problem"])?;
    }
    for finding in &findings {
        match (app.term.format, &finding.problem) {
            (Format::Text, None) => {}
            (Format::Text, Some(problem)) => {
                app.term.line(&text::plain(&format!("{} {}: {problem}", finding.what, finding.name)))?;
            }
            (Format::Tsv, problem) => {
                let problem = problem.as_deref().unwrap_or("ok");
                app.term.tsv(&[finding.what, &finding.name, problem])?;
            }
            _ => app.term.json(&json!({
                "schema": "windrow.finding/1",
                "what": finding.what,
                "name": finding.name,
                "ok": finding.problem.is_none(),
                "problem": finding.problem,
            }))?,
        }
    }
    let n_bad = findings.iter().filter(|finding| finding.problem.is_some()).count();
    if app.term.format == Format::Text {
        let told = if n_bad == 0 { "whole".to_owned() } else { format!("{n_bad} damaged") };
        app.term.line(&format!("{} checked: {told}", text::counted(findings.len() as u64, "file")))?;
    }
    Ok(if n_bad == 0 { Exit::Fine } else { Exit::Bad })
}

fn migrate(place: &Place, dry_run: bool, app: &mut App) -> Done {
    let (out, state) = (&place.out, place.state.as_deref());
    let done = if dry_run { migrate::plan(out, state)? } else { migrate::migrate(out, state, &app.clock)? };
    let manifest = &done.committed.manifest;
    if app.term.format != Format::Text {
        let part = |part: &Part| {
            let problem = if let Change::Damaged(why) = &part.change { Some(why) } else { None };
            json!({
                "what": part.what, "name": part.name, "found": part.found, "current": part.current, "change": part.change.name(),
                "problem": problem,
            })
        };
        app.term.object(&json!({
            "schema": "windrow.migrate/1", "dry_run": dry_run, "state": done.committed.layout.state,
            "written_by": manifest.version, "version": env!("CARGO_PKG_VERSION"), "changed": done.is_change(),
            "files": done.parts.iter().map(part).collect::<Vec<_>>(), "running": done.committed.holder,
        }))?;
        return Ok(Exit::Fine);
    }
    for part in &done.parts {
        let formats = match part.found {
            Some(found) if found != part.current => format!("format {found}, of {}", part.current),
            _ => format!("format {}", part.current),
        };
        let told = match (&part.change, dry_run) {
            (Change::None, _) => format!("{formats}: as it is"),
            (Change::Rewritten, true) => format!("{formats}: would be written anew"),
            (Change::Rewritten, false) => format!("{formats}: written anew"),
            (Change::Damaged(why), _) => format!("damaged, left as it is: {why}"),
        };
        fact(part.what, &format!("{} {told}", part.name), app)?;
    }
    let told = match (done.is_change(), dry_run) {
        (false, _) => "nothing to do: all is in the formats of this program",
        (true, true) => "nothing was written; without --dry-run, older programs refuse this state from then on",
        (true, false) => "migrated; older programs refuse this state from now on",
    };
    app.term.say(told);
    if let Some(holder) = done.committed.holder.as_ref().filter(|_| done.is_change()) {
        app.term
            .say(&format!("process {} on {} runs it, and writes its own formats at its next commit", holder.pid, holder.host));
    }
    Ok(Exit::Fine)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn alias(reading: &Reading, id: u64, app: &mut App) -> Done {
    let micro = micro_alias(reading, id)?;
    let cluster = cluster_alias(reading, id)?;
    if micro.is_none() && cluster.is_none() {
        return Err(Error::new(ErrorKind::Invalid, "E-NO-CLUSTER", format!("{id} is no id that this pipeline gave out"))
            .hint("ids stand in the columns cluster and micro_cluster of the output")
            .into());
    }
    if app.term.format != Format::Text {
        app.term.object(&json!({"schema": "windrow.alias/1", "id": id, "micro_cluster": micro, "cluster": cluster}))?;
        return Ok(Exit::Fine);
    }
    for (name, found) in [("theme", micro), ("cluster", cluster)] {
        if let Some(found) = found {
            fact(name, &format!("{id}: {}", word(&found["told"])), app)?;
        }
    }
    Ok(Exit::Fine)
}

/// Follows a micro-cluster through its mergers.
fn micro_alias(reading: &Reading, id: MicroId) -> Result<Option<Value>, Error> {
    let summary = reading.pipeline.summary();
    let (mut at, mut path) = (id, Vec::new());
    loop {
        if let Some(alive) = summary.micro_clusters.iter().find(|micro| micro.micro_cluster == at) {
            let through = if path.is_empty() { "alive".into() } else { format!("merged into {at}, alive") };
            let told = format!("{through} in cluster {}", alive.cluster);
            return Ok(Some(json!({"alive": true, "lives_in": at, "cluster": alive.cluster, "merged": path, "told": told})));
        }
        match lookup::fate(reading, at)? {
            Some(Fate::Merged { into, .. }) => {
                path.push(into);
                at = into;
            }
            Some(Fate::Faded { cluster, position }) => {
                let through = if path.is_empty() { String::new() } else { format!("merged into {at}, which ") };
                let told = format!("{through}faded away in cluster {cluster} after {} pages", text::count(position));
                return Ok(Some(json!({"alive": false, "lives_in": null, "cluster": cluster, "merged": path, "told": told})));
            }
            None => return Ok(None),
        }
    }
}

/// What a cluster is now, or how it ended and where its micro-clusters went.
fn cluster_alias(reading: &Reading, id: u64) -> Result<Option<Value>, Error> {
    let view = reading.pipeline.view();
    if let Some(alive) = view.clusters.iter().find(|cluster| u64::from(cluster.cluster) == id) {
        let told = format!("alive on slot {} as {}", alive.slot, alive.label);
        return Ok(Some(json!({"alive": true, "slot": alive.slot, "label": alive.label, "told": told})));
    }
    let Ok(id) = ClusterId::try_from(id) else { return Ok(None) };
    let Some(end) = lookup::cluster_end(reading, id)? else { return Ok(None) };
    let label = view.dead.iter().find(|dead| dead.cluster == id).map(|dead| dead.label.clone());
    let mut heirs: Vec<_> = end.went_to.iter().collect();
    heirs.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let list: Vec<String> = heirs.iter().take(5).map(|(cluster, themes)| format!("{cluster} ({themes})")).collect();
    let heirs_told = if list.is_empty() { String::new() } else { format!("; its themes went to {}", list.join(", ")) };
    let label_told = label.as_ref().map(|label| format!(", was {label}")).unwrap_or_default();
    let told = format!("died after {} pages{label_told}{heirs_told}", text::count(end.position));
    let went_to: Vec<Value> =
        heirs.iter().map(|(cluster, themes)| json!({"cluster": cluster, "micro_clusters": themes})).collect();
    Ok(Some(json!({
        "alive": false, "slot": end.slot, "label": label, "died": end.position, "went_to": went_to, "told": told,
    })))
}
