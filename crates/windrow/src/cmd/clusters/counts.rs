//! `windrow clusters --from-topics`: what the topics hold, counted by reading them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use windrow_core::cluster::ClusterId;
use windrow_engine::clock::Clock as _;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::count::{Counting, TopicCount};
use windrow_engine::run::Control;
use windrow_engine::settings::Settings;

use super::super::tail::{page_topics, some};
use super::super::{App, Done, Exit, Failure};
use super::LOOK;
use crate::args::Format;
use crate::progress::ProgressLine;
use crate::signals::Watch;
use crate::term::live::Live;
use crate::term::table::{self, Column};
use crate::term::{Style, text};

/// Topics named in a line that tells of changes.
const CHANGES_SHOWN: usize = 5;

/// Counts once, or goes on to count.
pub(super) fn run(settings: &Settings, goes_on: bool, app: &mut App) -> Done {
    let control = Arc::new(Control::default());
    let watch = Watch::start(&control)?;
    let broker = Broker::new(&settings.kafka)?;
    let topics = page_topics(settings)?;
    let mut counting = Counting::open(&broker, &topics, &mut |told| app.term.say(told))?;
    let file = settings.output.counts_file.clone().map(|path| CountsFile { path, topics });
    if !counting.missing.is_empty() {
        app.term.say(&format!(
            "{} not there: {}",
            text::counted(counting.missing.len() as u64, "topic"),
            some(&counting.missing)
        ));
    }
    let mut line = ProgressLine::new(&app.term);
    let began = app.clock.elapsed();
    let whole = counting.catch_up((&app.clock, &control), &mut |read| line.count(read, app.clock.elapsed() - began));
    line.finish();
    if !whole? {
        return Ok(Exit::Interrupted);
    }
    if goes_on {
        follow(&mut counting, file.as_ref(), &control, app)?;
    } else {
        file.iter().try_for_each(|file| file.keep(&counting.counts))?;
        show(&counting.counts, app)?;
    }
    Ok(if watch.was_interrupt() { Exit::Interrupted } else { Exit::Fine })
}

/// The counts as the original's counter keeps them.
struct CountsFile {
    path: PathBuf,
    /// All topics in their order, those too that are not there.
    topics: Vec<String>,
}

impl CountsFile {
    /// Written aside and renamed: whoever reads it sees it whole.
    fn keep(&self, counts: &[TopicCount]) -> Result<(), Error> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".new");
        std::fs::write(&aside, self.text(counts)).and_then(|()| std::fs::rename(&aside, &self.path)).map_err(|error| {
            let message = format!("cannot write {}", self.path.display());
            Error::new(ErrorKind::Environment, "E-WRITE", message).cause(error)
        })
    }

    fn text(&self, counts: &[TopicCount]) -> String {
        let pages: BTreeMap<&str, u64> = counts.iter().map(|count| (count.topic.as_str(), count.pages)).collect();
        let counts: Vec<u64> = self.topics.iter().map(|topic| pages.get(topic.as_str()).copied().unwrap_or(0)).collect();
        let names: Vec<String> = (1..=self.topics.len()).map(|number| number.to_string()).collect();
        json!({"counts": counts, "clusters": names}).to_string()
    }
}

/// Draws anew with every change, or writes a line for it where stdout is no terminal.
fn follow(counting: &mut Counting<'_>, file: Option<&CountsFile>, control: &Control, app: &mut App) -> Result<(), Failure> {
    counting.follow()?;
    let mut live = Live::new(&app.term);
    let mut shown: Option<Vec<TopicCount>> = None;
    while !control.is_asked() && !app.term.is_closed() {
        if shown.as_ref() != Some(&counting.counts) {
            file.iter().try_for_each(|file| file.keep(&counting.counts))?;
            if live.is_on() && app.term.format == Format::Text {
                let (width, height) = app.term.size();
                live.draw(&picture(&counting.counts, height - 1, width, app))?;
            } else {
                change(shown.as_deref(), &counting.counts, app)?;
                app.term.flush()?;
            }
            shown = Some(counting.counts.clone());
        }
        let until = app.clock.elapsed() + LOOK;
        while app.clock.elapsed() < until && !control.is_asked() {
            counting.more(&app.clock)?;
        }
    }
    live.leave();
    Ok(())
}

fn show(counts: &[TopicCount], app: &mut App) -> Result<(), Failure> {
    match app.term.format {
        Format::Json => app.term.json(&object(counts)),
        Format::Tsv => tsv(None, counts, app),
        Format::Text => picture(counts, usize::MAX, app.term.width(), app).iter().try_for_each(|line| app.term.line(line)),
    }
}

/// One line for what changed; of JSON the whole count.
fn change(before: Option<&[TopicCount]>, counts: &[TopicCount], app: &mut App) -> Result<(), Failure> {
    match app.term.format {
        Format::Json => app.term.json(&object(counts)),
        Format::Tsv => tsv(before, counts, app),
        Format::Text => {
            let line = told(before, counts);
            app.term.line(&format!("{}  {line}", text::time(app.clock.now())))
        }
    }
}

/// `1,234 pages (+56)  cluster_3 +40, cluster_7 +16`
fn told(before: Option<&[TopicCount]>, counts: &[TopicCount]) -> String {
    let sum = |counts: &[TopicCount]| counts.iter().map(|count| count.pages).sum::<u64>();
    let Some(before) = before else { return text::counted(sum(counts), "page") };
    // Topics that were added stand behind the others.
    let was = |at: usize| before.get(at).map_or(0, |before| before.pages);
    let mut grown: Vec<(u64, &str)> = counts
        .iter()
        .enumerate()
        .map(|(at, now)| (now.pages - was(at), now.topic.as_str()))
        .filter(|(pages, _)| *pages > 0)
        .collect();
    grown.sort_by_key(|&(pages, topic)| (std::cmp::Reverse(pages), topic));
    let named: Vec<String> = (grown.iter().take(CHANGES_SHOWN))
        .map(|(pages, topic)| format!("{} +{}", text::plain(topic), text::count(*pages)))
        .collect();
    let more = grown.len().saturating_sub(CHANGES_SHOWN);
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    let total = sum(counts);
    format!("{} (+{})  {}{more}", text::counted(total, "page"), text::count(total - sum(before)), named.join(", "))
}

/// The whole count as the contract has it.
fn object(counts: &[TopicCount]) -> Value {
    let sum = |number: fn(&TopicCount) -> u64| counts.iter().map(number).sum::<u64>();
    let topics: Vec<Value> = counts
        .iter()
        .map(|count| {
            let clusters: Vec<_> =
                count.clusters.iter().map(|(cluster, pages)| json!({"cluster": cluster, "pages": pages})).collect();
            json!({
                "topic": count.topic, "pages": count.pages, "clusters": clusters, "owners": count.owners, "others": count.others,
                "newest_at": count.newest.map(text::time),
            })
        })
        .collect();
    json!({
        "schema": "windrow.counts/1",
        "pages": sum(|count| count.pages),
        "owners": sum(|count| count.owners),
        "others": sum(|count| count.others),
        "topics": topics,
    })
}

/// A line for each topic and cluster that changed.
fn tsv(before: Option<&[TopicCount]>, counts: &[TopicCount], app: &mut App) -> Result<(), Failure> {
    if before.is_none() {
        app.term.tsv(&["topic", "cluster", "pages"])?;
    }
    for (at, count) in counts.iter().enumerate() {
        let none = BTreeMap::new();
        let old = before.and_then(|before| before.get(at)).map_or(&none, |before| &before.clusters);
        for (cluster, pages) in count.clusters.iter().filter(|(cluster, pages)| old.get(*cluster) != Some(*pages)) {
            app.term.tsv(&[count.topic.clone(), shown(*cluster), pages.to_string()])?;
        }
    }
    Ok(())
}

fn shown(cluster: Option<ClusterId>) -> String {
    cluster.map(|cluster| cluster.to_string()).unwrap_or_default()
}

/// Heading and table of at most so many lines: most pages first.
fn picture(counts: &[TopicCount], most: usize, width: usize, app: &App) -> Vec<String> {
    let total: u64 = counts.iter().map(|count| count.pages).sum();
    let owners: u64 = counts.iter().map(|count| count.owners).sum();
    let facts = [
        text::counted(total, "page"),
        text::counted(counts.len() as u64, "topic"),
        format!("{} announced", text::counted(owners, "owner")),
    ];
    let facts = if owners > 0 { &facts[..] } else { &facts[..2] };
    let mut lines = vec![app.term.paint(Style::Bold, &text::cut(&facts.join(" · "), width)), String::new()];
    let mut rows: Vec<(u64, &TopicCount, Option<ClusterId>)> = Vec::new();
    for count in counts {
        rows.extend(count.clusters.iter().map(|(cluster, pages)| (*pages, count, *cluster)));
        if count.clusters.is_empty() {
            rows.push((0, count, None));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    rows.truncate(most.saturating_sub(lines.len() + 1));
    let top = rows.first().map_or(1, |row| row.0).max(1);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(pages, count, cluster)| {
            let newest = count.newest.filter(|_| *pages > 0).map(text::time).unwrap_or_default();
            let bar = text::bar(*pages as f64 / top as f64, 12);
            vec![text::plain(&count.topic).into_owned(), shown(*cluster), bar, text::count(*pages), newest]
        })
        .collect();
    let columns = [
        Column::left("topic", 24).style(Style::Bold),
        Column::right("cluster", 8),
        Column::left("", 12).style(Style::Cyan),
        Column::right("pages", 13),
        Column::rest("newest in the topic"),
    ];
    lines.extend(table::lines(&columns, &cells, width, app.term.color));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(topic: &str, pages: u64) -> TopicCount {
        TopicCount { topic: topic.into(), pages, clusters: [(Some(1), pages)].into(), ..TopicCount::default() }
    }

    #[test]
    fn the_original_s_counts_have_every_topic_in_its_place() {
        let file = CountsFile { path: PathBuf::new(), topics: ["a", "b", "c"].map(str::to_owned).into() };
        let text = file.text(&[count("c", 5), count("a", 3)]);
        let kept: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(kept, json!({"counts": [3, 0, 5], "clusters": ["1", "2", "3"]}));
    }

    #[test]
    fn a_change_names_what_grew_most() {
        let before = [count("a", 1), count("b", 1_000), count("c", 5)];
        let now = [count("a", 3), count("b", 1_000), count("c", 9)];
        assert_eq!(told(None, &before), "1,006 pages");
        assert_eq!(told(Some(&before), &now), "1,012 pages (+6)  c +4, a +2");
    }
}
