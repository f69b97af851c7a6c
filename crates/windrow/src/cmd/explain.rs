//! `windrow explain`: why a page is where it is.

use serde_json::{Value, json};
use windrow_core::cluster::{Candidate, ClusterId, Explanation};
use windrow_core::kept::Kept;
use windrow_core::pipeline::{Pipeline, Preparer, View};
use windrow_core::record::{RecordId, Row};
use windrow_engine::checkpoint::Reading;
use windrow_engine::current::Whereabouts;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::lookup::{self, Published, Wanted};

use super::clusters::{Place, PlaceKeys};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, SettingFlags};
use crate::term::{Style, text};

/// Terms shown for a candidate.
const TERMS_SHOWN: usize = 8;

/// Say why a page is in its cluster, and not in another
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow explain --out out 0:4711                a published page by record id
  windrow explain --out out --id 1761259107       by the campaign's id
  windrow explain --out out --title 'rust game'   a page that was never seen

What was decided at arrival comes from the output, where the page is now from
the lineage: moves, merges, and what users did. The reasons come from the model
as of the last commit: where a page like this would go.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
    /// Record id of a published page, source:offset
    #[arg(value_name = "RECORD_ID")]
    record: Option<RecordId>,
    /// Campaign id of a published page; the newest one counts
    #[arg(long, conflicts_with = "record")]
    id: Option<String>,
    /// URL of a published page, or of one made up with --title and the like
    #[arg(long, conflicts_with_all = ["record", "id"])]
    url: Option<String>,
    /// Title of a page made up
    #[arg(long, conflicts_with_all = ["record", "id"])]
    title: Option<String>,
    /// Keywords of a page made up
    #[arg(long, conflicts_with_all = ["record", "id"])]
    keywords: Option<String>,
    /// Description of a page made up
    #[arg(long, conflicts_with_all = ["record", "id"])]
    description: Option<String>,
}

impl Args {
    fn is_made_up(&self) -> bool {
        self.title.is_some() || self.keywords.is_some() || self.description.is_some()
    }

    fn wanted(&self) -> Result<Wanted, Error> {
        let by_text = [(&self.id, Wanted::Id as fn(String) -> Wanted), (&self.url, Wanted::Url)];
        let by_text = by_text.into_iter().find_map(|(text, wanted)| text.clone().map(wanted));
        self.record.map(Wanted::Record).or(by_text).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "E-USAGE", "which page?")
                .hint("give a record id, --id, --url, or the texts of a page with --title, --keywords, --description")
        })
    }
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let place = Place::new(app, &args.settings)?;
    if !args.is_made_up() {
        args.wanted()?;
    }
    let reading = place.read()?.ok_or_else(|| place.nothing())?;
    let (published, columns) = if args.is_made_up() {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let columns = [String::new(), text(&args.url), text(&args.title), text(&args.keywords), text(&args.description)];
        (None, columns)
    } else {
        let wanted = args.wanted()?;
        let found = match lookup::find(&reading, &wanted)? {
            Some(found) => found,
            None => return Err(no_page(&reading, &wanted)?.into()),
        };
        let columns = found.columns.clone();
        (Some(found), columns)
    };
    let why = explanation(&reading, &columns)?;
    let view = reading.pipeline.view();
    let current = published.as_ref().map(|page| Current::of(page, &reading)).transpose()?;
    match app.term.format {
        Format::Text => print(published.as_ref().zip(current.as_ref()), &columns, &why, &view, app)?,
        Format::Json => app.term.json(&object(published.as_ref().zip(current.as_ref()), &why, &view))?,
        Format::Tsv => tsv(&why, app)?,
    }
    Ok(Exit::Fine)
}

/// Why a published page is where it is, as the contract has it.
pub(crate) fn of_published(reading: &Reading, wanted: &Wanted) -> Result<Value, Error> {
    let found = match lookup::find(reading, wanted)? {
        Some(found) => found,
        None => return Err(no_page(reading, wanted)?),
    };
    let why = explanation(reading, &found.columns)?;
    let current = Current::of(&found, reading)?;
    Ok(object(Some((&found, &current)), &why, &reading.pipeline.view()))
}

/// Why there is no such page.
fn no_page(reading: &Reading, wanted: &Wanted) -> Result<Error, Error> {
    let reason = match wanted {
        Wanted::Record(record) => lookup::rejection(reading, *record)?,
        _ => None,
    };
    Ok(match reason {
        Some(reason) => Error::new(ErrorKind::Invalid, "E-NO-PAGE", format!("this row was rejected: {reason}"))
            .hint("its original bytes stand in the Parquet under rejects/"),
        None => Error::new(ErrorKind::Invalid, "E-NO-PAGE", "no such page was published")
            .hint("record ids stand in the column record_id of the Parquet; rejected rows are under rejects/"),
    })
}

/// The reasons of the model at the last commit.
fn explanation(reading: &Reading, columns: &[String; 5]) -> Result<Explanation, Error> {
    let weights = reading.manifest.field_weights(&reading.layout.manifest())?;
    let [id, url, title, keywords, description] = columns.each_ref().map(String::as_bytes);
    let columns = [&[], id, url, title, keywords, description];
    let row = Row { origin: RecordId { source: 0, offset: 0 }, raw: &[], columns, kept: Kept::default() };
    let prepared = Preparer::new(weights).prepare(std::iter::once(Ok(row)));
    if prepared.pages.is_empty() {
        return Err(Error::new(
            ErrorKind::Invalid,
            "E-NO-PAGE",
            "this is no page: url, title, keywords and description are empty",
        ));
    }
    Ok(explain(&reading.pipeline, &prepared.pages))
}

fn explain(pipeline: &Pipeline, pages: &windrow_core::record::Pages) -> Explanation {
    pipeline.explain(pages, 0)
}

/// Where a published page is now.
struct Current {
    page: Whereabouts,
    /// Whether a user put its theme where it is.
    held: bool,
}

impl Current {
    fn of(page: &Published, reading: &Reading) -> Result<Self, Error> {
        let page = Whereabouts::of(reading, page.decision.micro_cluster, page.decision.cluster)?;
        let micro_clusters = reading.pipeline.summary().micro_clusters;
        let held = micro_clusters.iter().any(|micro| micro.micro_cluster == page.micro_cluster && micro.held);
        Ok(Self { page, held })
    }

    fn object(&self, view: &View) -> Value {
        let (event, commit) = self.page.moved.clone().unzip();
        json!({
            "cluster": self.page.cluster(),
            "label": label(self.page.cluster(), view),
            "micro_cluster": self.page.micro_cluster,
            "held": self.held,
            "event": event,
            "commit": commit,
            "said": self.told(),
        })
    }

    /// What brought it there, and who.
    fn told(&self) -> String {
        let theme = self.page.micro_cluster;
        let Some((event, commit)) = &self.page.moved else {
            return if self.held { format!("theme {theme}, held there by you") } else { "as at arrival".into() };
        };
        let told = match event.as_str() {
            "cluster_merged" => "merged into it by you".to_owned(),
            "cluster_split" => "split off by you".to_owned(),
            "cluster_back" => "brought back by you".to_owned(),
            "micro_placed" => format!("theme {theme}, put there by you"),
            "micro_merged" => format!("theme {theme}, which took in its own,"),
            _ => format!("theme {theme}, which went over"),
        };
        format!("{told} at commit {commit}")
    }
}

fn object(published: Option<(&Published, &Current)>, why: &Explanation, view: &View) -> Value {
    let (published, current) = published.unzip();
    json!({
        "schema": "windrow.explanation/1",
        "record_id": published.map(|page| &page.record_id),
        "published": published.map(|page| json!({
            "cluster": page.decision.cluster,
            "slot": page.decision.slot,
            "micro_cluster": page.decision.micro_cluster,
            "novel": page.decision.novel,
            "score": page.decision.score,
            "label": page.label,
        })),
        "page": published.map(|page| json!({
            "id": page.columns[0], "url": page.columns[1], "title": page.columns[2],
            "keywords": page.columns[3], "description": page.columns[4],
            "creation_time": page.creation_time.map(text::time),
        })),
        "current": current.map(|current| current.object(view)),
        "now": {
            "novel": why.novel,
            "threshold": why.threshold,
            "winner": why.winner.as_ref().map(|candidate| candidate_object(candidate, view)),
            "runner_up": why.runner_up.as_ref().map(|candidate| candidate_object(candidate, view)),
        },
    })
}

fn tsv(why: &Explanation, app: &mut App) -> Result<(), Failure> {
    app.term.tsv(&["candidate", "cluster", "micro_cluster", "kind", "term", "share"])?;
    for (name, candidate) in [("winner", &why.winner), ("runner_up", &why.runner_up)] {
        for part in candidate.iter().flat_map(|candidate| &candidate.parts) {
            let (cluster, micro) = candidate.as_ref().map_or((0, 0), |found| (found.cluster, found.micro_cluster));
            let kind = format!("{:?}", part.kind);
            let share = format!("{:.6}", part.share);
            app.term.tsv(&[name, &cluster.to_string(), &micro.to_string(), &kind, &part.term, &share])?;
        }
    }
    Ok(())
}

fn candidate_object(candidate: &Candidate, view: &View) -> Value {
    json!({
        "cluster": candidate.cluster,
        "label": label(candidate.cluster, view),
        "micro_cluster": candidate.micro_cluster,
        "score": candidate.score,
        "parts": candidate.parts.iter()
            .map(|part| json!({"kind": part.kind, "term": part.term, "share": part.share})).collect::<Vec<_>>(),
    })
}

fn label(id: ClusterId, view: &View) -> &str {
    view.clusters.iter().find(|cluster| cluster.cluster == id).map_or("", |cluster| &cluster.label)
}

fn print(
    published: Option<(&Published, &Current)>,
    columns: &[String; 5],
    why: &Explanation,
    view: &View,
    app: &mut App,
) -> Result<(), Failure> {
    let width = app.term.width();
    for (at, name) in [(2, "title"), (1, "url"), (3, "keywords"), (4, "description")] {
        if !columns[at].is_empty() {
            let value = text::cut(&text::plain(&columns[at]), width - 13).into_owned();
            fact(name, &value, app)?;
        }
    }
    if let Some((page, current)) = published {
        let decision = &page.decision;
        let how = if decision.novel { "opened theme" } else { "theme" };
        let told = format!(
            "cluster {} · {how} {} · likeness {:.3} · {}",
            decision.cluster,
            decision.micro_cluster,
            decision.score,
            text::plain(&page.label)
        );
        fact("at arrival", &text::cut(&told, width - 13), app)?;
        let (cluster, why) = (current.page.cluster(), format!(" ({})", current.told()));
        let is_alive = view.clusters.iter().any(|living| living.cluster == cluster);
        let label = if is_alive { text::plain(label(cluster, view)) } else { "which has ended".into() };
        let told = format!("cluster {cluster} · {label}");
        fact("now", &(text::cut(&told, width.saturating_sub(13 + text::width(&why))).into_owned() + &why), app)?;
    }
    app.term.line("")?;
    match &why.winner {
        None => app.term.line("The model knows nothing that this page is like.")?,
        Some(winner) => {
            let needs = format!("likeness {:.3}, {:.3} needed", winner.score, why.threshold);
            candidate("a page like this would go to", winner, &needs, view, app)?;
            if why.novel {
                app.term.line("  too little: it would open a theme of its own")?;
            } else if winner.score < why.threshold {
                app.term.line("  too little: it would be given to it, and not count for what it is about")?;
            }
        }
    }
    if let Some(runner_up) = &why.runner_up {
        app.term.line("")?;
        candidate("and not to", runner_up, &format!("likeness {:.3}", runner_up.score), view, app)?;
    }
    Ok(())
}

fn fact(name: &str, value: &str, app: &mut App) -> Result<(), Failure> {
    let name = app.term.paint(Style::Dim, &text::fit(name, 11, true));
    app.term.line(&format!("{name}  {value}"))
}

fn candidate(word: &str, candidate: &Candidate, likeness: &str, view: &View, app: &mut App) -> Result<(), Failure> {
    let label = text::plain(label(candidate.cluster, view)).into_owned();
    let head = format!("{word} cluster {} · {label}", candidate.cluster);
    let head = text::cut(&head, app.term.width().saturating_sub(likeness.len() + 3)).into_owned();
    let head = app.term.paint(Style::Bold, &head);
    app.term.line(&format!("{head} ({likeness})"))?;
    let top = candidate.parts.first().map_or(1.0, |part| part.share).max(f64::MIN_POSITIVE);
    for part in candidate.parts.iter().take(TERMS_SHOWN) {
        let bar = app.term.paint(Style::Cyan, &text::bar(part.share / top, 24));
        let term = text::fit(&text::plain(&part.term), 28, false);
        app.term.line(&format!("  {term} {bar} {:.3}", part.share))?;
    }
    let rest = candidate.parts.get(TERMS_SHOWN..).unwrap_or_default();
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|part| part.share).sum();
        let told = text::fit(&format!("{} more terms", rest.len()), 53, false);
        app.term.line(&format!("  {} {sum:.3}", app.term.paint(Style::Dim, &told)))?;
    }
    Ok(())
}
