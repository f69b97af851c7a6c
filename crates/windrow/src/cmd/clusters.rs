//! `windrow clusters`: what there is now, from the last commit; and what users do to it.

mod card;
mod counts;
mod edit;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use windrow_core::cluster::ClusterId;
use windrow_core::kept::KeptTally;
use windrow_core::pipeline::{ClusterView, View};
use windrow_engine::checkpoint::{self, Committed, Reading};
use windrow_engine::error::Error;
use windrow_engine::run::{self, Control};
use windrow_engine::settings::OutputSettings;

use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::shape::{cluster_cells, cluster_columns, cluster_object};
use crate::signals::Watch;
use crate::term::live::Live;
use crate::term::table::{self, Column};
use crate::term::{Style, Term, text};

/// Time between two looks at the manifest.
const LOOK: Duration = Duration::from_millis(500);
/// Clusters shown when not all are asked for.
const SHOWN: usize = 20;
/// Sums of columns that are carried along shown to people; data formats have all.
const SUMS_SHOWN: usize = 3;

/// The settings that say where an output lies.
#[derive(Debug)]
pub(crate) struct PlaceKeys;

impl KeySet for PlaceKeys {
    const KEYS: &'static [&'static str] = &["output.out", "output.state"];
}

/// The settings that say which topics there are.
#[derive(Debug)]
pub(crate) struct TopicsKeys;

impl KeySet for TopicsKeys {
    const KEYS: &'static [&'static str] = &["model.clusters", "output.kafka", "output.counts_file"];
}

/// Show the clusters as of the last commit; put them right
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow clusters --out out
  windrow clusters --out out --watch
  windrow clusters --out out -o json | jq -r '[.cluster, .label] | @tsv'
  windrow clusters rename 7 'summer sale' --out out
  windrow clusters merge 7 --into 3 --dry-run --out out
  windrow clusters --watch --from-topics --kafka localhost:9092

With --from-topics pages are counted by reading the topics, as any consumer of
committed messages would; nothing that Windrow says of itself is asked.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
    /// Follow: print anew with every commit, and wait for output to come
    #[arg(short, long)]
    watch: bool,
    /// All clusters, not only the 20 largest (data formats always have all)
    #[arg(short, long)]
    all: bool,
    /// Count the pages in the topics instead; with --watch, for ever
    #[arg(long)]
    from_topics: bool,
    /// Once, whatever --watch says
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    topics: SettingFlags<TopicsKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
    #[command(subcommand)]
    edit: Option<edit::EditVerb>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    if let Some(verb) = &args.edit {
        return edit::run(args, verb, app);
    }
    if args.from_topics {
        let given = [args.settings.given.clone(), args.topics.given.clone(), args.kafka.given()?].concat();
        return counts::run(&app.settings(&given)?.settings, args.watch && !args.once, app);
    }
    let place = Place::new(app, &args.settings)?;
    if args.watch && !args.once {
        return watch(&place, args.all, app);
    }
    let reading = place.read()?.ok_or_else(|| place.nothing())?;
    print(&reading, args.all, app)?;
    Ok(Exit::Fine)
}

/// Where an output lies.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) out: PathBuf,
    pub(super) state: Option<PathBuf>,
}

impl Place {
    pub(super) fn new(app: &App, flags: &SettingFlags<PlaceKeys>) -> Result<Self, Error> {
        Ok(Self::of(app.settings(&flags.given)?.settings.output))
    }

    pub(super) fn of(output: OutputSettings) -> Self {
        Self { out: output.out, state: output.state }
    }

    pub(super) fn read(&self) -> Result<Option<Reading>, Error> {
        checkpoint::read_state(&self.out, self.state.as_deref())
    }

    /// What is committed, without the model; an error when nothing is.
    pub(super) fn committed(&self) -> Result<Committed, Error> {
        checkpoint::read_committed(&self.out, self.state.as_deref())?.ok_or_else(|| self.nothing())
    }

    pub(super) fn nothing(&self) -> Error {
        let hint = "give the --out of a run; `--watch` waits for one, `windrow demo` makes one";
        checkpoint::none_yet(
            format!("nothing was committed in {}", self.out.display()),
            (&self.out, self.state.as_deref()),
            hint,
        )
    }

    /// What is said of an id that no living cluster has.
    fn not_alive(&self, id: ClusterId) -> Error {
        run::not_alive(id, &self.out, self.state.as_deref())
    }
}

fn watch(place: &Place, all: bool, app: &mut App) -> Done {
    let watch = Watch::start(&Arc::new(Control::default()))?;
    let mut live = Live::new(&app.term);
    let (mut shown, mut told) = (None, false);
    loop {
        let committed = place.epoch()?;
        if committed.is_none() && !told {
            app.term.say(&format!("waiting for a first commit in {} (Ctrl-C ends)", place.out.display()));
            told = true;
        }
        if committed != shown
            && let Some(reading) = place.read()?
        {
            shown = Some(reading.manifest.epoch);
            if live.is_on() && app.term.format == Format::Text {
                let (view, (width, height)) = (reading.pipeline.view(), app.term.size());
                let mut lines = overview(&view, reading.manifest.epoch, &app.term, width);
                lines.extend(rows(&view, height.saturating_sub(lines.len() + 2), false, width, app.term.color));
                live.draw(&lines)?;
            } else {
                print(&reading, all, app)?;
                app.term.flush()?;
            }
        }
        if watch.wait(LOOK) {
            live.leave();
            return Ok(if watch.was_interrupt() { Exit::Interrupted } else { Exit::Fine });
        }
    }
}

impl Place {
    /// Last committed epoch; none when there is no output yet.
    fn epoch(&self) -> Result<Option<u64>, Error> {
        let layout = checkpoint::Layout::find(&self.out, self.state.as_deref())?;
        Ok(checkpoint::manifest::Manifest::read(&layout.manifest())?.map(|manifest| manifest.epoch))
    }
}

/// Writes all clusters in the format asked for.
pub(super) fn print(reading: &Reading, all: bool, app: &mut App) -> Result<(), Failure> {
    let (view, epoch) = (&reading.pipeline.view(), reading.manifest.epoch);
    match app.term.format {
        Format::Json => view.clusters.iter().try_for_each(|cluster| app.term.json(&cluster_object(cluster, view, epoch))),
        Format::Tsv => tsv(view, &mut app.term),
        Format::Text => {
            let width = app.term.width();
            let mut lines = overview(view, epoch, &app.term, width);
            let most = if all { usize::MAX } else { 2 * SHOWN + 1 };
            lines.extend(rows(view, most, true, width, app.term.color));
            lines.iter().try_for_each(|line| app.term.line(line))?;
            let hidden = view.clusters.len().saturating_sub(SHOWN);
            if hidden > 0 && !all {
                app.term.say(&format!("{} more: --all", text::count(hidden as u64)));
            }
            Ok(())
        }
    }
}

fn tsv(view: &View, term: &mut Term) -> Result<(), Failure> {
    term.tsv(&cluster_columns(view))?;
    view.clusters.iter().try_for_each(|cluster| {
        let cells = cluster_cells(cluster, view).into_iter().map(|cell| match cell {
            Value::String(text) => text,
            other => other.to_string(),
        });
        term.tsv(&cells.collect::<Vec<_>>())
    })
}

/// The heading over a table of clusters.
fn overview(view: &View, epoch: u64, term: &Term, width: usize) -> Vec<String> {
    let mut facts = vec![
        text::counted(view.clusters.len() as u64, "cluster"),
        text::counted(view.micro_clusters, "theme"),
        text::counted(view.pages, "page"),
        format!("commit {epoch}"),
    ];
    let sum = |kept: &KeptTally| format!("{} {}", text::plain(&kept.name), kept.tally.sum);
    facts.extend(view.kept.iter().take(SUMS_SHOWN).map(sum));
    vec![term.paint(Style::Bold, &text::cut(&facts.join(" · "), width)), String::new()]
}

/// The table of the largest clusters, at most `most` lines, optionally with an example under each.
pub(super) fn rows(view: &View, most: usize, with_example: bool, width: usize, color: bool) -> Vec<String> {
    let mut largest: Vec<&ClusterView> = view.clusters.iter().collect();
    largest.sort_by(|a, b| b.delivered.cmp(&a.delivered).then(a.cluster.cmp(&b.cluster)));
    let per_cluster = if with_example { 2 } else { 1 };
    largest.truncate(most.saturating_sub(1) / per_cluster);
    let kept: Vec<String> = view.kept.iter().take(SUMS_SHOWN).map(|kept| text::plain(&kept.name).into_owned()).collect();
    let mut columns = vec![
        Column::right("id", 6).style(Style::Dim),
        Column::rest("label").style(Style::Bold),
        Column::left("", 6).style(Style::Cyan),
        Column::right("delivered", 11),
        Column::right("now", 11),
        Column::left("top domain", 18),
    ];
    columns.extend(kept.iter().map(|name| Column::right(name, 14)));
    let top = largest.first().map_or(1, |cluster| cluster.delivered).max(1);
    let cells: Vec<Vec<String>> = largest
        .iter()
        .map(|cluster| {
            let mut cells = vec![
                cluster.cluster.to_string(),
                mark(cluster) + &text::plain(&cluster.label),
                text::bar(cluster.delivered as f64 / top as f64, 6),
                text::count(cluster.delivered),
                text::count(cluster.now),
                cluster.domains.first().map(|(domain, _)| text::plain(domain).into_owned()).unwrap_or_default(),
            ];
            cells.extend(cluster.kept.iter().take(SUMS_SHOWN).map(|kept| kept.tally.sum.to_string()));
            cells
        })
        .collect();
    let mut lines = table::lines(&columns, &cells, width, color);
    if with_example {
        let mut with = vec![lines.remove(0)];
        for (line, cluster) in lines.into_iter().zip(largest) {
            with.push(line);
            let newest = cluster.latest.first().map(|example| text::plain(&example.title).into_owned()).unwrap_or_default();
            with.push(Style::Dim.paint(&text::cut(&format!("        {newest}"), width), color));
        }
        return with;
    }
    lines
}

fn mark(cluster: &ClusterView) -> String {
    if cluster.pinned { "● ".into() } else { String::new() }
}
