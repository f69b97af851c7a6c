//! Changes as a colleague would tell them: on a terminal, as data with their sentences, and as a page to keep.

use serde_json::{Value, json};
use windrow_core::lineage::{Alarm, Measure};
use windrow_engine::alarms::Raised;
use windrow_engine::changes::{Act, Change, Changes, Deed, Drift, Kind, Period};

use crate::cmd::Failure;
use crate::picture;
use crate::term::text::{self, count, counted};
use crate::term::{Style, Term};

/// So many times as many is said so; what is less, in percent.
const TIMES: u64 = 3;

/// Clusters of a kind that are told on a terminal; data formats and the page have all.
const TOLD: usize = 10;

/// When it was.
fn when(period: Period) -> String {
    let minute = |micros: i64| {
        let time = text::time(micros).replace('T', " ");
        let time = time.get(..16).unwrap_or(&time);
        time.strip_suffix(" 00:00").unwrap_or(time).to_owned()
    };
    match period {
        Period::Times(from, to) => format!("{} to {}", minute(from), minute(to)),
        Period::Commits(first, last) if first > last => "no commit".into(),
        Period::Commits(first, last) if first == last => format!("commit {first}"),
        Period::Commits(first, last) => format!("commits {first} to {last}"),
    }
}

/// What it was about, in one sentence.
pub(crate) fn summary(found: &Changes) -> String {
    let number = |kind: Kind| found.changes.iter().filter(|change| change.kind == kind).count() as u64;
    let kinds = Kind::ALL.map(|kind| (number(kind), kind)).into_iter().filter(|(number, _)| *number > 0);
    let mut kinds: Vec<String> = kinds.map(|(number, kind)| format!("{} {}", count(number), kind.code())).collect();
    if !found.drifts.is_empty() {
        kinds.push(format!("{} {DRIFTED}", count(found.drifts.len() as u64)));
    }
    let when = when(found.periods[1]);
    let pages = if found.pages[1] == 0 { "no page".into() } else { counted(found.pages[1], "page") };
    let clusters = counted(found.clusters[1], "cluster");
    match (found.pages, kinds.join(", ")) {
        ([0, 0], kinds) if kinds.is_empty() => format!("{when}: {pages}."),
        ([0, 0], kinds) => format!("{when}: {pages}; {kinds}."),
        (_, kinds) if kinds.is_empty() => {
            format!("{when}: {pages}, {}. {clusters}: nothing changed that chance would not explain.", beside(found))
        }
        (_, kinds) => format!("{when}: {pages}, {}. {clusters}: {kinds}.", beside(found)),
    }
}

/// How many pages there were beside those before. Commits hold as many as they happen to: of them only shares are compared.
fn beside(found: &Changes) -> String {
    let ([before, now], then) = (found.pages, when(found.periods[0]));
    if before == 0 {
        return "and none before".into();
    }
    let those = format!("the {} before ({then})", count(before));
    if let (Period::Commits(..), _) | (_, 0) = (found.periods[0], now) {
        return format!("beside {those}");
    }
    if now == before {
        return format!("as many as before ({then})");
    }
    let times = now as f64 / before as f64;
    if now >= before.saturating_mul(TIMES) {
        let times =
            if times < 10.0 { format!("{times:.1}").trim_end_matches(".0").to_owned() } else { count(times.round() as u64) };
        return format!("{times} times {those}");
    }
    let percent = ((times - 1.0) * 100.0).abs();
    let by = match percent.round() {
        _ if percent < 1.0 => "some".to_owned(),
        // Some are left.
        100.0 if now < before => "more than 99 %".to_owned(),
        percent => format!("{} %", count(percent as u64)),
    };
    format!("{by} {} than {those}", if now > before { "more" } else { "fewer" })
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.001 { "less than 0.1 %".into() } else { format!("{:.1} %", share * 100.0) }
}

/// What became of a cluster, in a sentence or two.
fn sentence(change: &Change) -> String {
    let [before, now] = change.pages;
    let [share_before, share_now] = change.share;
    let after = format!("{} after {}", counted(now, "page"), if before == 0 { "none".into() } else { count(before) });
    let mut said = match change.kind {
        Kind::New => format!("{}, {} of all.", counted(now, "page"), percent(share_now)),
        Kind::Gone | Kind::Shrunk if now == 0 => {
            format!("None after {}, which were {} of all.", count(before), percent(share_before))
        }
        Kind::Gone | Kind::Shrunk => format!("{after}: {} of all, down from {}.", percent(share_now), percent(share_before)),
        Kind::Grown if before == 0 => format!("{after}: {} of all.", percent(share_now)),
        Kind::Grown => format!("{after}: {} of all, up from {}.", percent(share_now), percent(share_before)),
        Kind::Renamed | Kind::Edited if now == 0 && before == 0 => String::new(),
        Kind::Renamed | Kind::Edited if now == 0 => format!("None after {}.", count(before)),
        Kind::Renamed | Kind::Edited => format!("{after}."),
    };
    if change.kind == Kind::Grown && before == 0 && change.earlier > 0 {
        said += &format!(" Earlier it had {}.", count(change.earlier));
    }
    let is_elsewhere = change.acts.iter().any(|act| act.deed == Deed::MergedInto);
    if change.has_ended && !is_elsewhere {
        said += " It has ended.";
    }
    if !change.acts.is_empty() {
        said += &format!(" By hand: {}.", change.acts.iter().map(by_hand).collect::<Vec<_>>().join(", "));
    }
    said.trim_start().to_owned()
}

/// What a user did to a cluster, as what follows its name.
fn by_hand(act: &Act) -> String {
    let themes = counted(act.themes, "theme");
    let other = act.other.unwrap_or_default();
    match act.deed {
        Deed::Renamed => "renamed".into(),
        Deed::Unnamed => "its name taken away".into(),
        Deed::Pinned => "pinned".into(),
        Deed::Unpinned => "unpinned".into(),
        Deed::MergedInto => format!("merged into {other}, with all its pages"),
        Deed::TookIn => format!("took in {other}, with all its pages"),
        Deed::SplitFrom => format!("split from {other}"),
        Deed::SplitOff => format!("{other} was split from it"),
        Deed::StandsFor => format!("stands for {other} again, with all its pages"),
        Deed::GaveBack => format!("gave back what it had taken in, now {other}"),
        Deed::MovedHere => format!("{themes} of {other} moved here"),
        Deed::MovedAway => format!("{themes} moved to {other}"),
        Deed::Held => format!("{themes} held"),
        Deed::Released => format!("{themes} let go"),
    }
}

/// What is told of a cluster that drifted, where others are new or gone.
pub(crate) const DRIFTED: &str = "drifted";

/// An alarm in one sentence, of whom it concerns.
pub(crate) fn drifted(who: &str, raised: &Raised) -> String {
    format!("{who} drifted at page {}: {}.", count(raised.position), unusual(&raised.alarm))
}

/// The same where the cluster's name stands before it.
fn drift_sentence(raised: &Raised) -> String {
    let (at, since) = (count(raised.position), count(raised.alarm.since));
    let mut what = unusual(&raised.alarm);
    what.replace_range(..1, &what[..1].to_uppercase());
    format!("{what}. Seen at page {at}, since page {since}.")
}

/// What is unusual, in words.
fn unusual(alarm: &Alarm) -> String {
    let Alarm { value, usual: [low, high], .. } = *alarm;
    let hundredths = |share: f64| format!("{} %", (share * 100.0).round());
    let shares = || match (hundredths(low), hundredths(high)) {
        (low, high) if low == high => low,
        (low, high) => format!("{} to {high}", low.trim_end_matches(" %")),
    };
    let whole = |number: f64| count(number.round().max(0.0) as u64);
    let numbers = || if whole(low) == whole(high) { whole(low) } else { format!("{} to {}", whole(low), whole(high)) };
    match (alarm.measure, alarm.is_above) {
        (Measure::NewWords, _) => format!("{} of its words are new to it, where {} is usual", hundredths(value), shares()),
        (Measure::Shift, _) => {
            format!("its words are {} away from those before, where {} is usual", hundredths(value), shares())
        }
        (Measure::Breadth, true) => format!("its pages spread over {} words, where {} is usual", whole(value), numbers()),
        (Measure::Breadth, false) => format!("its pages keep to {} words, where {} is usual", whole(value), numbers()),
        (Measure::Volume, true) => format!("{} of 1,000 pages are its own, where {} is usual", whole(value), numbers()),
        (Measure::Volume, false) => format!("only {} of 1,000 pages are its own, where {} is usual", whole(value), numbers()),
    }
}

/// An alarm as data, with its sentence: windrow.alarm/1.
pub(crate) fn alarm_object(label: &str, raised: &Raised) -> Value {
    let Raised { position, cluster, alarm } = raised;
    json!({
        "schema": "windrow.alarm/1",
        "change": DRIFTED,
        "cluster": cluster,
        "label": label,
        "position": position,
        "measure": alarm.measure.code(),
        "above": alarm.is_above,
        "value": alarm.value,
        "usual": alarm.usual,
        "windows": alarm.windows,
        "before": alarm.before,
        "odds": alarm.odds,
        "since": alarm.since,
        "said": drift_sentence(raised),
    })
}

/// What it was called, where that was another name.
fn was(change: &Change) -> Option<String> {
    let was = change.was.as_ref()?;
    Some(format!("Before: {}.", text::plain(was)))
}

/// Where its pages came from for the first time.
fn domains(change: &Change) -> Option<String> {
    let shown: Vec<String> =
        change.new_domains.iter().map(|(domain, pages)| format!("{} ({})", text::plain(domain), count(*pages))).collect();
    let more = change.n_new_domains.saturating_sub(shown.len() as u64);
    let more = if more > 0 { format!(" and {} more", count(more)) } else { String::new() };
    let which = if change.kind == Kind::New { "From" } else { "New domains:" };
    (!shown.is_empty()).then(|| format!("{which} {}{more}.", shown.join(", ")))
}

/// A change as data, with its sentence: windrow.change/1.
pub(crate) fn object(found: &Changes, change: &Change) -> Value {
    json!({
        "schema": "windrow.change/1",
        "before": period(found.periods[0], found.pages[0]),
        "now": period(found.periods[1], found.pages[1]),
        "change": change.kind.code(),
        "cluster": change.cluster,
        "label": change.label,
        "was": change.was,
        "earlier": change.earlier,
        "pages": change.pages,
        "share": change.share,
        "said": sentence(change),
        "ended": change.has_ended,
        "by_hand": change.acts.iter().map(act_object).collect::<Vec<_>>(),
        "new_domains": change.new_domains.iter().map(|(domain, pages)| json!({"domain": domain, "pages": pages})).collect::<Vec<_>>(),
        "new_domains_total": change.n_new_domains,
        "titles": change.titles,
    })
}

fn act_object(act: &Act) -> Value {
    json!({"did": act.deed.code(), "other": act.other, "themes": act.themes})
}

fn period(period: Period, pages: u64) -> Value {
    match period {
        Period::Times(from, to) => json!({"from": text::time(from), "to": text::time(to), "pages": pages}),
        Period::Commits(first, last) => json!({"first_commit": first, "last_commit": last, "pages": pages}),
    }
}

/// Columns of a change where it is a line of a table.
pub(crate) const COLUMNS: [&str; 9] =
    ["change", "cluster", "label", "was", "before", "now", "share_before", "share_now", "said"];

/// A change as such a line.
pub(crate) fn cells(change: &Change) -> [String; 9] {
    [
        change.kind.code().to_owned(),
        change.cluster.to_string(),
        change.label.clone(),
        change.was.clone().unwrap_or_default(),
        change.pages[0].to_string(),
        change.pages[1].to_string(),
        change.share[0].to_string(),
        change.share[1].to_string(),
        sentence(change),
    ]
}

/// An alarm as such a line: what it has not is empty.
pub(crate) fn drift_cells(drift: &Drift) -> [String; 9] {
    let Drift { raised, label } = drift;
    let mut cells: [String; 9] = Default::default();
    cells[0] = DRIFTED.to_owned();
    cells[1] = raised.cluster.to_string();
    cells[2].clone_from(label);
    cells[8] = drift_sentence(raised);
    cells
}

/// For people at a terminal.
pub(crate) fn text(found: &Changes, term: &mut Term) -> Result<(), Failure> {
    let (width, color) = (term.width(), term.color);
    for line in wrapped(&summary(found), width, "") {
        term.line(&line)?;
    }
    for kind in Kind::ALL {
        let of_kind: Vec<&Change> = found.changes.iter().filter(|change| change.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        term.line("")?;
        term.line(&Style::Bold.paint(&kind.code().to_uppercase(), color))?;
        for change in of_kind.iter().take(TOLD) {
            let head = format!("{:>6}  {}", change.cluster, text::plain(&change.label));
            term.line(&Style::Bold.paint(&text::cut(&head, width), color))?;
            let said =
                [Some(sentence(change)), was(change), domains(change)].into_iter().flatten().collect::<Vec<_>>().join(" ");
            for line in wrapped(&said, width, "        ") {
                term.line(&line)?;
            }
            for title in &change.titles {
                term.line(&Style::Dim.paint(&text::cut(&format!("        · {}", text::plain(title)), width), color))?;
            }
        }
        if of_kind.len() > TOLD {
            term.line(&format!("        and {} more", count((of_kind.len() - TOLD) as u64)))?;
        }
    }
    drifts_text(&found.drifts, term)
}

/// The newest alarms.
fn drifts_text(drifts: &[Drift], term: &mut Term) -> Result<(), Failure> {
    let (width, color) = (term.width(), term.color);
    if drifts.is_empty() {
        return Ok(());
    }
    term.line("")?;
    term.line(&Style::Bold.paint(&DRIFTED.to_uppercase(), color))?;
    for Drift { raised, label } in drifts.iter().rev().take(TOLD) {
        let head = format!("{:>6}  {}", raised.cluster, text::plain(label));
        term.line(&Style::Bold.paint(&text::cut(&head, width), color))?;
        for line in wrapped(&drift_sentence(raised), width, "        ") {
            term.line(&line)?;
        }
    }
    if drifts.len() > TOLD {
        term.line(&format!("        and {} more", count((drifts.len() - TOLD) as u64)))?;
    }
    Ok(())
}

/// A text in lines of a width, each behind an indent.
fn wrapped(said: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in said.split(' ') {
        let line = lines.last_mut().expect("there is a first one");
        if line.len() > indent.len() && text::width(line) + 1 + text::width(word) > width {
            lines.push(format!("{indent}{word}"));
        } else {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| text::cut(&line, width).into_owned()).collect()
}

/// As a page to keep.
pub(crate) fn page(found: &Changes) -> String {
    let mut body = format!("<h1>Changes</h1>\n<p>{}</p>\n", picture::isolated(&summary(found)));
    for kind in Kind::ALL {
        let mut of_kind = found.changes.iter().filter(|change| change.kind == kind).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        body += &format!("<h2>{}</h2>\n", capital(kind.code()));
        for change in of_kind {
            body += &format!("<h3>{} {}</h3>\n", change.cluster, picture::isolated(&change.label));
            let said = [Some(sentence(change)), was(change), domains(change)];
            let said: Vec<String> = said.into_iter().flatten().map(|one| picture::isolated(&one)).collect();
            body += &format!("<p>{}</p>\n", said.join(" "));
            if !change.titles.is_empty() {
                let items: Vec<String> =
                    change.titles.iter().map(|title| format!("<li>{}</li>", picture::isolated(title))).collect();
                body += &format!("<ul>{}</ul>\n", items.concat());
            }
        }
    }
    if !found.drifts.is_empty() {
        body += &format!("<h2>{}</h2>\n", capital(DRIFTED));
    }
    for Drift { raised, label } in found.drifts.iter().rev() {
        body += &format!("<h3>{} {}</h3>\n", raised.cluster, picture::isolated(label));
        body += &format!("<p>{}</p>\n", picture::isolated(&drift_sentence(raised)));
    }
    picture::bare_page("Changes, by Windrow", &body)
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: Kind, pages: [u64; 2]) -> Change {
        Change {
            kind,
            cluster: 7,
            label: "one, <b>two</b>".into(),
            was: Some("three".into()),
            pages,
            share: [pages[0] as f64 / 100.0, pages[1] as f64 / 200.0],
            new_domains: vec![("example.org".into(), 2)],
            n_new_domains: 3,
            earlier: 1_204,
            has_ended: false,
            acts: Vec::new(),
            titles: vec!["A <script>alert(1)</script>\u{1b}[2J title".into()],
        }
    }

    fn found() -> Changes {
        let day = 86_400_000_000;
        Changes {
            periods: [Period::Times(19_000 * day, 19_001 * day), Period::Times(19_001 * day, 19_002 * day)],
            pages: [100, 200],
            clusters: [3, 4],
            without_time: 0,
            changes: vec![change(Kind::New, [0, 20]), change(Kind::Shrunk, [30, 10])],
            drifts: vec![Drift {
                raised: raised(Measure::NewWords, true, 0.34, [0.03, 0.08]),
                label: "<i>skin</i> care".into(),
            }],
        }
    }

    fn raised(measure: Measure, is_above: bool, value: f64, usual: [f64; 2]) -> Raised {
        let alarm = Alarm { measure, is_above, value, usual, windows: 4, before: 90, odds: 1e6, since: 12_050 };
        Raised { position: 12_300, cluster: 7, alarm }
    }

    #[test]
    fn alarms_read_like_sentences() {
        let said = |measure, is_above, value, usual| drifted("'skin care'", &raised(measure, is_above, value, usual));
        assert_eq!(
            said(Measure::NewWords, true, 0.34, [0.03, 0.08]),
            "'skin care' drifted at page 12,300: 34 % of its words are new to it, where 3 to 8 % is usual."
        );
        let others = [
            (Measure::Shift, true, 0.4, [0.1, 0.1], "its words are 40 % away from those before, where 10 % is usual"),
            (Measure::Breadth, true, 1204.0, [60.0, 80.0], "its pages spread over 1,204 words, where 60 to 80 is usual"),
            (Measure::Breadth, false, 20.0, [60.0, 80.0], "its pages keep to 20 words, where 60 to 80 is usual"),
            (Measure::Volume, true, 48.0, [12.0, 25.0], "48 of 1,000 pages are its own, where 12 to 25 is usual"),
            (Measure::Volume, false, 0.0, [12.0, 25.0], "only 0 of 1,000 pages are its own, where 12 to 25 is usual"),
        ];
        for (measure, is_above, value, usual, wanted) in others {
            let said = said(measure, is_above, value, usual);
            assert_eq!(said, format!("'skin care' drifted at page 12,300: {wanted}."));
        }
        let said = drift_sentence(&raised(Measure::NewWords, true, 0.34, [0.03, 0.08]));
        assert_eq!(said, "34 % of its words are new to it, where 3 to 8 % is usual. Seen at page 12,300, since page 12,050.");
    }

    #[test]
    fn it_reads_like_a_sentence() {
        let found = found();
        assert_eq!(
            summary(&found),
            "2022-01-09 to 2022-01-10: 200 pages, 100 % more than the 100 before (2022-01-08 to 2022-01-09). 4 clusters: 1 new, 1 shrunk, 1 drifted."
        );
        let beside = |pages| {
            let told = summary(&Changes { pages, ..self::found() });
            told.split_once(if pages[1] == 0 { " page, " } else { " pages, " })
                .and_then(|(_, rest)| rest.split_once(" ("))
                .map(|(beside, _)| beside.to_owned())
                .unwrap()
        };
        for (pages, told) in [
            ([100, 14_488], "145 times the 100 before"),
            ([100, 1_000], "10 times the 100 before"),
            ([35, 299], "8.5 times the 35 before"),
            ([100, 300], "3 times the 100 before"),
            ([100, 299], "199 % more than the 100 before"),
            ([1_000, 1_004], "some more than the 1,000 before"),
            ([1_000, 10], "99 % fewer than the 1,000 before"),
            ([1_000, 3], "more than 99 % fewer than the 1,000 before"),
            ([1_000, 0], "beside the 1,000 before"),
            ([3, 3], "as many as before"),
        ] {
            assert_eq!(beside(pages), told);
        }
        assert_eq!(sentence(&found.changes[0]), "20 pages, 10.0 % of all.");
        assert_eq!(sentence(&found.changes[1]), "10 pages after 30: 5.0 % of all, down from 30.0 %.");
        assert_eq!(domains(&found.changes[0]).unwrap(), "From example.org (2) and 2 more.");
    }

    #[test]
    fn only_what_ended_is_said_to_have() {
        let said = |kind, pages, has_ended| sentence(&Change { has_ended, was: None, ..change(kind, pages) });
        assert_eq!(said(Kind::Shrunk, [41, 0], false), "None after 41, which were 41.0 % of all.");
        assert_eq!(said(Kind::Gone, [41, 0], true), "None after 41, which were 41.0 % of all. It has ended.");
        assert_eq!(said(Kind::Gone, [41, 2], true), "2 pages after 41: 1.0 % of all, down from 41.0 %. It has ended.");
        assert_eq!(said(Kind::Grown, [0, 41], false), "41 pages after none: 20.5 % of all. Earlier it had 1,204.");
    }

    #[test]
    fn commits_are_compared_by_shares() {
        let commits = |first, last, pages| Changes {
            periods: [Period::Commits(1, first - 1), Period::Commits(first, last)],
            pages,
            ..found()
        };
        assert_eq!(
            summary(&commits(14, 16, [20_000, 5_999])),
            "commits 14 to 16: 5,999 pages, beside the 20,000 before (commits 1 to 13). 4 clusters: 1 new, 1 shrunk, 1 drifted."
        );
        assert_eq!(summary(&commits(14, 14, [0, 0])), "commit 14: no page; 1 new, 1 shrunk, 1 drifted.");
        let nothing = Changes { changes: Vec::new(), drifts: Vec::new(), ..commits(14, 14, [0, 0]) };
        assert_eq!(summary(&nothing), "commit 14: no page.");
    }

    #[test]
    fn titles_are_texts_and_nothing_else() {
        let html = page(&found());
        assert!(
            !html.contains("<script") && !html.contains("<b>two") && !html.contains("<i>skin") && !html.contains('\u{1b}'),
            "{html}"
        );
        assert!(html.contains("default-src &#39;none&#39;") || html.contains("default-src 'none'"), "{html}");
    }

    #[test]
    fn lines_keep_their_width() {
        let lines = wrapped("one two three four five", 9, "  ");
        assert_eq!(lines, ["  one two", "  three", "  four", "  five"]);
    }
}
