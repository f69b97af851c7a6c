//! What is seen of the pages beside the model: the templates of their addresses, and which of them are copies of each other.
//!
//! All counts are by the decision at arrival, as `delivered` is. A cluster that is taken in by another one brings its tables along; one that is parted
//! from another one begins with empty tables, for nobody knows which pages went with it.

mod copies;
mod examples;
mod hosts;
mod patterns;
mod places;
mod top;

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, Decision};
use crate::featurize::{TermKind, Urls};
use crate::lineage::{Happening, LineageEvent};
use crate::pipeline::book::{Entry, Example, fill};
use crate::record::{Pages, TextColumn};
use crate::snapshot::SnapshotError;
use copies::{Coming, Copies, Lately};
use examples::{Examples, Shown};
use places::{Again, Places, Template};
use top::Top;

/// Bytes of the longest address that may stand for its template; of one that never has a shorter one nothing is shown.
const URL_BYTES: usize = 500;
/// Slots whose clusters are looked at: of the first ones, so that memory and snapshots stay small however many there may be.
const SLOTS: u32 = 1_024;
/// Templates and repeated pages of a cluster that are shown.
const SHOWN: usize = 10;

/// What is seen of the pages.
#[derive(Debug, Default)]
pub(super) struct Seen {
    places: Places,
    lately: Lately,
    again: Again,
    clusters: BTreeMap<ClusterId, OfCluster>,
    /// Templates of the batch at hand.
    templates: Vec<Template>,
    /// Which of them came lately: on their sites, on any site.
    came_again: Vec<[bool; 2]>,
}

/// In snapshots. Field order is the format.
#[derive(Serialize, Deserialize)]
pub(super) struct State<'a> {
    places: places::State,
    lately: Vec<(u16, copies::Before)>,
    again: Vec<(u16, u32)>,
    clusters: Cow<'a, BTreeMap<ClusterId, OfCluster>>,
}

/// What is seen of a cluster's pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct OfCluster {
    copies: Copies,
    /// Pages with an address.
    addresses: u64,
    /// Templates, with an address of each that came at least twice.
    templates: Top<Known>,
    examples: Examples,
}

/// An address that stands for its template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    /// Empty before the template comes again.
    url: String,
    /// Which of its segments were slots by what was learnt, a bit each: they stay so when the place is forgotten. And whether it stands for
    /// its path on any site.
    slots: u32,
}

/// A template of a cluster's addresses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pattern {
    /// The host, and the path with slots: `shop.example/products/{slug}/{id}`; with `*` for several hosts.
    pub pattern: String,
    /// Hosts that it stands for, at least.
    pub hosts: u64,
    /// Pages that certainly have it.
    pub pages: u64,
    /// The share of the cluster's pages with an address that they are.
    pub share: f64,
}

/// How many copies of a page there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Times that it certainly came.
    pub pages: u64,
    /// Different hosts that it came from.
    pub hosts: u64,
    /// Whether that is exact.
    pub is_exact: bool,
}

/// A page that came more than once.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RepeatedPage {
    /// One of the copies.
    pub example: Example,
    /// How many there are.
    pub copied: Copied,
    /// Position of the first one that is remembered.
    pub first: u64,
    /// Position of the last one.
    pub last: u64,
}

/// Copies among the pages of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CopiesView {
    /// Pages that were looked at.
    pub pages: u64,
    /// Those of them that had come before.
    pub copies: u64,
    /// Pages that came most often, most frequent first.
    pub repeated: Vec<RepeatedPage>,
}

impl CopiesView {
    /// The share of the pages that had come before.
    pub fn share(&self) -> f64 {
        self.copies as f64 / self.pages.max(1) as f64
    }
}

impl Seen {
    /// Learns the templates of a batch, in order, before its pages are decided; not of the first `before` pages.
    /// Gives the batch with them as terms, if they have a weight.
    pub(super) fn read<'a>(&mut self, pages: &'a Pages, before: usize) -> Cow<'a, Pages> {
        let Self { places, templates, again, came_again, .. } = self;
        let marks = &pages.marks;
        templates.clear();
        came_again.clear();
        templates.extend((0..pages.len()).map(|row| match marks.site[row] {
            0 => Template::default(),
            _ if row < before => Template::default(),
            site => places.learn(site, marks.segments(row)),
        }));
        came_again.extend(
            templates
                .iter()
                .enumerate()
                .map(|(row, template)| [again.see(template.key), again.see(template.of_any_site(marks.segments(row)).key)]),
        );
        with_terms(pages, templates)
    }

    /// Pages that are not learnt with their templates as terms, if these have a weight, as they would be now.
    pub(super) fn look<'a>(&self, pages: &'a Pages) -> Cow<'a, Pages> {
        if pages.marks.weight <= 0.0 {
            return Cow::Borrowed(pages);
        }
        let marks = &pages.marks;
        let templates: Vec<_> = (0..pages.len())
            .map(|row| match marks.site[row] {
                0 => Template::default(),
                site => self.places.look(site, marks.segments(row)),
            })
            .collect();
        with_terms(pages, &templates)
    }

    /// Looks at a page of the batch that was read, as it was decided.
    #[inline]
    pub(super) fn see(&mut self, decision: &Decision, position: u64, pages: &Pages, row: usize) {
        if decision.slot >= SLOTS {
            return;
        }
        let Self { lately, clusters, templates, came_again, .. } = self;
        let (site, copy, cluster) = (pages.marks.site[row], pages.marks.copy[row], decision.cluster);
        let seen = clusters.entry(cluster).or_default();
        seen.examples.see(copy, decision, pages, row);
        if let Some(repeated) = seen.copies.count(Coming { cluster, position, copy, site }, lately)
            && repeated.example.record_id.is_none()
        {
            fill(&mut repeated.example, decision, pages, row);
        }
        if site != 0 {
            seen.addresses += 1;
            seen.count_template(came_again[row], templates[row], pages, row);
        }
    }

    /// Counts a page of which nothing is known but its site and its copy.
    pub(super) fn count_unseen(&mut self, decision: &Decision, position: u64, site: u64, copy: u64) {
        let cluster = decision.cluster;
        if decision.slot < SLOTS {
            let seen = self.clusters.entry(cluster).or_default();
            seen.copies.count(Coming { cluster, position, copy, site }, &mut self.lately);
        }
    }

    /// Takes the texts of the latest pages out of a batch.
    pub(super) fn settle(&mut self, decisions: &[Decision], pages: &Pages) {
        self.clusters.values_mut().for_each(|seen| seen.examples.settle(decisions, pages));
    }

    /// Lets the scores of examples fade.
    pub(super) fn age(&mut self) {
        self.clusters.values_mut().for_each(|seen| seen.examples.age());
    }

    /// Takes note of what happened.
    pub(super) fn note(&mut self, event: &LineageEvent) {
        match event.happening {
            Happening::ClusterMerged { into } => {
                if let Some(seen) = self.clusters.remove(&event.cluster) {
                    self.clusters.entry(into).or_default().take_in(seen);
                }
            }
            Happening::ClusterDied { .. } => _ = self.clusters.remove(&event.cluster),
            _ => {}
        }
    }

    #[cfg(test)]
    pub(super) fn forget_places(&mut self) {
        self.places = Places::default();
    }

    /// The most frequent templates of a cluster.
    pub(super) fn patterns(&self, cluster: ClusterId) -> Vec<Pattern> {
        let Some(seen) = self.clusters.get(&cluster) else { return Vec::new() };
        let mut reader = Urls::default();
        let known = seen.templates.iter().filter_map(|(pages, Known { url, slots })| {
            // As the places say now: what was a word then may be one of many now.
            let shown = reader.template(url, |site, segments| slots | self.places.look(site, segments).slots)?;
            Some((shown, slots & places::ON_ANY_SITE != 0, pages))
        });
        let mut patterns = patterns::folded(known.collect(), seen.templates.is_full());
        patterns.iter_mut().for_each(|it| it.share = it.pages as f64 / seen.addresses.max(1) as f64);
        patterns.truncate(SHOWN);
        patterns
    }

    /// Copies among a cluster's pages.
    pub(super) fn copies(&self, cluster: ClusterId) -> CopiesView {
        let Some(OfCluster { copies, .. }) = self.clusters.get(&cluster) else { return CopiesView::default() };
        let known = copies.top.iter().filter(|(_, page)| page.example.record_id.is_some());
        let mut repeated: Vec<_> = known
            .map(|(seen, page)| RepeatedPage {
                example: page.example.clone(),
                copied: page.copied(seen),
                first: page.first,
                last: page.last,
            })
            .collect();
        repeated.sort_by(|a, b| b.copied.pages.cmp(&a.copied.pages).then(a.first.cmp(&b.first)).then(a.last.cmp(&b.last)));
        repeated.truncate(SHOWN);
        CopiesView { pages: copies.pages, copies: copies.again, repeated }
    }

    /// Examples of a cluster with the copies there are: representative, boundary, latest (oldest first). Those of the book where none are known, as in
    /// states of programs that did not watch.
    pub(super) fn examples(&self, cluster: ClusterId, book: &Entry) -> [Vec<Example>; 3] {
        let none = OfCluster::default();
        let seen = self.clusters.get(&cluster).unwrap_or(&none);
        let Examples { representative, boundary, latest, .. } = &seen.examples;
        let or = |own: Vec<Example>, book: Vec<Example>| if own.is_empty() { book } else { own };
        let shown = |list: &mut dyn Iterator<Item = &Shown>| list.map(|it| seen.shown(it)).collect();
        [
            or(shown(&mut representative.iter()), book.representative.clone()),
            or(shown(&mut boundary.iter()), book.boundary.clone()),
            or(shown(&mut latest.iter()), book.latest.iter().cloned().collect()),
        ]
    }

    pub(super) fn state(&self) -> State<'_> {
        let (places, lately, again) = (self.places.state(), self.lately.state(), self.again.state());
        State { places, lately, again, clusters: Cow::Borrowed(&self.clusters) }
    }

    pub(super) fn restore(state: State<'_>) -> Result<Self, SnapshotError> {
        let State { places, lately, again, clusters } = state;
        if !clusters.values().all(OfCluster::is_whole) {
            return Err(SnapshotError::Damaged("its tables of copies and templates cannot be".into()));
        }
        let (places, lately, again) = (Places::restore(&places)?, Lately::restore(&lately)?, Again::restore(&again)?);
        Ok(Self { places, lately, again, clusters: clusters.into_owned(), ..Self::default() })
    }
}

impl OfCluster {
    /// Counts a page's template, if it came lately. Where it is not held, what it has in common with other sites is counted, so that hosts by the
    /// hundred, which take the places of each other, still make a pattern.
    #[inline]
    fn count_template(&mut self, came_again: [bool; 2], template: Template, pages: &Pages, row: usize) {
        let [on_site, on_any] = came_again;
        let is_held = on_site && self.templates.find(template.key).is_some();
        if on_any && !is_held && (!on_site || self.templates.is_full()) {
            let any = template.of_any_site(pages.marks.segments(row));
            self.hold(any, &pages.url, row);
        }
        if on_site {
            self.hold(template, &pages.url, row);
        }
    }

    fn hold(&mut self, template: Template, url: &TextColumn, row: usize) {
        let (was_full, at) = (self.templates.is_full(), self.templates.find(template.key));
        let known = match at {
            Some(at) => self.templates.count(at),
            None => {
                let at = self.templates.admit(template.key);
                self.templates.what(at).url.clear();
                self.templates.what(at)
            }
        };
        // The text of an address is fetched only for what comes again, or may not stay until it does. A part of one would be another one.
        if known.url.is_empty() && (at.is_some() || was_full) {
            known.url.push_str(Some(url.get(row)).filter(|url| url.len() <= URL_BYTES).unwrap_or_default());
            known.slots = template.slots;
        }
    }

    /// Takes in what was seen of a cluster that ended.
    fn take_in(&mut self, other: Self) {
        self.copies.take_in(other.copies);
        self.addresses += other.addresses;
        self.templates.take_in(other.templates, |own, other| {
            if own.url.is_empty() {
                *own = other;
            }
        });
    }

    fn shown(&self, (copy, example): &Shown) -> Example {
        let copied = self.copies.top.get(*copy).map(|(seen, page)| page.copied(seen));
        Example { copied, ..example.clone() }
    }

    fn is_whole(&self) -> bool {
        self.copies.is_whole() && self.templates.is_whole() && self.examples.is_whole() && self.addresses <= u64::MAX >> 8
    }
}

impl copies::Repeated {
    fn copied(&self, pages: u64) -> Copied {
        let (hosts, is_exact) = self.hosts.number();
        // A sketch may say more than there can be.
        Copied { pages, hosts: hosts.min(pages), is_exact }
    }
}

/// Pages with their templates as terms, if these have a weight.
fn with_terms<'a>(pages: &'a Pages, templates: &[Template]) -> Cow<'a, Pages> {
    let weight = pages.marks.weight;
    if weight <= 0.0 {
        return Cow::Borrowed(pages);
    }
    let mut with = pages.clone();
    let (terms, old) = (&mut with.terms, &pages.terms);
    (terms.term, terms.weight, terms.ends) = Default::default();
    let (mut numbers, mut reader) = (FxHashMap::default(), Urls::default());
    for (row, template) in templates.iter().enumerate() {
        let entries = old.entries(row);
        terms.term.extend_from_slice(&old.term[entries.clone()]);
        terms.weight.extend_from_slice(&old.weight[entries]);
        if template.key != 0 {
            let number = *numbers.entry(template.key).or_insert_with(|| {
                terms.hash.push(template.key);
                terms.kind.push(TermKind::Template);
                let shown = reader.template(pages.url.get(row), |_, _| template.slots).unwrap_or_default();
                terms.text.push(&(shown.host + &shown.path));
                u32::try_from(terms.hash.len() - 1).expect("terms in memory")
            });
            terms.term.push(number);
            terms.weight.push(weight);
        }
        terms.ends.push(u32::try_from(terms.term.len()).expect("entries in memory"));
    }
    Cow::Owned(with)
}
