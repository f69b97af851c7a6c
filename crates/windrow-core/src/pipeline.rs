//! The stages put together: `prepare` (anywhere), `learn` (in order).
//!
//! ```text
//! rows ─ Preparer::prepare ─> Prepared ─ Pipeline::sift, learn ─> Outcome
//!        stateless, a thread each        one order: duplicates, model, book, labels, lineage
//! ```
//!
//! How the rows are cut into batches changes nothing: the model learns block by block, and labels follow the model's own
//! generations, which stand at fixed positions of the order.

pub(crate) mod book;
mod edit;
mod near;
mod parcel;
mod sample;
pub(crate) mod view;
mod watch;
mod window;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::clean::{CleanRow, Duplicates, OnDuplicate, Rules};
use crate::cluster::{
    self, Assignment, ClusterId, Clusterer, Decision, Explanation, ModelSettings, ModelSummary, UnknownModel,
};
use crate::featurize::language::Languages;
use crate::featurize::{Featurizer, FieldWeights};
use crate::kept::KeptBook;
use crate::label::{self, Said, Terms};
use crate::lineage::{Happening, LineageEvent, Relabel};
use crate::record::{Pages, Reject, RejectReason, Row, TextColumn};
use crate::snapshot::{self, FORMAT_ALONE, FORMAT_HAND, FORMAT_KEPT, FORMAT_WATCH, FORMAT_WINDOW, SnapshotError};

pub use book::{DeadCluster, Example};
pub use sample::{NoSampling, Sample};
pub use view::{ClusterView, Likeness, Theme, View};
pub use watch::{Copied, CopiesView, Gauge, MOST_FALSE_ALARMS, Pattern, RepeatedPage, Standing, WatchSettings};
pub use window::{Window, hash_of};

use book::Book;
use watch::Watch;

/// A batch after cleaning and featurizing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Rows that the batch held: pages and rejects.
    pub n_rows: u64,
    /// The pages, in order.
    pub pages: Pages,
    /// The rejects, in order.
    pub rejects: Vec<Reject>,
    /// Where duplicates matter, a hash of each page's texts, until [`Pipeline::sift`] has looked.
    pub hashes: Vec<u64>,
    /// Where they become rejects, what each page would be as one, until then.
    pub spare: Vec<Reject>,
    /// Pages that are duplicates.
    pub n_duplicates: u64,
}

/// What learning a batch gave: one decision and one label a page, and what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Position of the batch's first page.
    pub position: u64,
    /// One decision a page.
    pub decisions: Vec<Decision>,
    /// For each page the number of its cluster's label at that moment, in `labels`.
    pub label: Vec<u32>,
    /// Labels used in this batch.
    pub labels: Vec<String>,
    /// What happened, in order.
    pub lineage: Vec<LineageEvent>,
}

impl Outcome {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.decisions.clear();
        self.label.clear();
        self.labels.clear();
        self.lineage.clear();
    }
}

/// Makes pages or rejects of rows; holds scratch memory only, one for each thread.
#[derive(Debug)]
pub struct Preparer {
    featurizer: Featurizer,
    rules: Rules,
}

impl Preparer {
    /// A preparer with these field weights, for rows under no rules.
    pub fn new(weights: FieldWeights) -> Self {
        Self::with_rules(weights, Rules::default())
    }

    /// A preparer with these field weights, for rows under these rules.
    pub fn with_rules(weights: FieldWeights, rules: Rules) -> Self {
        Self { featurizer: Featurizer::new(weights), rules }
    }

    /// Cleans and featurizes the rows of one batch. A record that could not be read as a row comes as a reject.
    pub fn prepare<'a>(&mut self, rows: impl Iterator<Item = Result<Row<'a>, Reject>>) -> Prepared {
        let mut prepared = Prepared::default();
        self.featurizer.start_batch();
        for row in rows {
            prepared.n_rows += 1;
            match row.and_then(|row| Ok((row, self.rules.clean(&row).map_err(|reason| reject(&row, reason))?))) {
                Ok((row, page)) => {
                    self.add_page(&row, &page, &mut prepared.pages);
                    self.note_texts(&row, &page, &mut prepared);
                }
                Err(reject) => prepared.rejects.push(reject),
            }
        }
        prepared
    }

    /// Notes by what a page will be known as a duplicate.
    fn note_texts(&self, row: &Row<'_>, page: &CleanRow<'_>, prepared: &mut Prepared) {
        let action = self.rules.duplicates.action;
        if action != OnDuplicate::Keep {
            prepared.hashes.push(window::hash_of(page));
        }
        if action == OnDuplicate::Reject {
            prepared.spare.push(reject(row, RejectReason::Duplicate));
        }
    }

    fn add_page(&mut self, row: &Row<'_>, page: &CleanRow<'_>, pages: &mut Pages) {
        pages.origin.push(row.origin);
        pages.creation_time.push(page.creation_time);
        pages.id.push(page.id);
        pages.url.push(page.url);
        pages.title.push(page.title);
        pages.keywords.push(page.keywords);
        pages.description.push(page.description);
        pages.kept.resize_with(row.kept.spans.len(), TextColumn::default);
        for (column, value) in pages.kept.iter_mut().zip(row.kept.values()) {
            column.push(std::str::from_utf8(value).expect("what is no UTF-8 is a reject"));
        }
        self.featurizer.featurize(page, pages);
    }
}

fn reject(row: &Row<'_>, reason: RejectReason) -> Reject {
    Reject { origin: row.origin, reason, raw: row.raw.to_vec(), beside: None }
}

/// The state that learns: model, book, position. The same rows in the same order with the same edits at the same positions give
/// the same outcomes and the same snapshot.
pub struct Pipeline {
    settings: ModelSettings,
    model: Box<dyn Clusterer>,
    book: Book,
    kept: KeptBook,
    window: Option<Window>,
    /// Edits that can be taken back.
    done: edit::Done,
    /// What is looked at beside the model.
    watch: Option<Watch>,
    position: u64,
    generation: u64,
    /// While a batch is learnt from a sample, what became of micro-clusters that ended since it began; in no snapshot.
    ended: Option<sample::Ended>,
    /// For views; in no snapshot.
    languages: Languages,
}

/// What a snapshot holds. Field order is the format.
#[derive(Serialize, Deserialize)]
struct State {
    settings: ModelSettings,
    unicode: (u64, u64, u64),
    position: u64,
    generation: u64,
    book: Book,
    model: Vec<u8>,
}

/// What comes behind it since format 2. Field order is the format.
#[derive(Default, Serialize, Deserialize)]
struct More {
    kept: KeptBook,
}

/// What comes behind that since format 4; in format 3 it is the window's state alone. Field order is the format.
#[derive(Default, Serialize, Deserialize)]
struct Hand {
    window: Option<window::State>,
    done: edit::Done,
}

impl Pipeline {
    /// A pipeline that has learnt nothing.
    pub fn new(settings: &ModelSettings) -> Result<Self, UnknownModel> {
        let model = cluster::new_model(settings)?;
        Ok(Self {
            settings: settings.clone(),
            model,
            book: Book::default(),
            kept: KeptBook::default(),
            window: None,
            done: edit::Done::default(),
            watch: None,
            position: 0,
            generation: 0,
            ended: None,
            languages: Languages::default(),
        })
    }

    /// The same, with columns of these names that are carried along.
    #[must_use]
    pub fn keeping(self, names: Vec<String>) -> Self {
        Self { kept: KeptBook::new(names), ..self }
    }

    /// Names of the columns that are carried along.
    pub fn kept_names(&self) -> &[String] {
        self.kept.names()
    }

    /// The same, with a window in which duplicates are looked for.
    #[must_use]
    pub fn with_window(self, duplicates: Duplicates) -> Self {
        Self { window: Window::new(duplicates), ..self }
    }

    /// The same, with its clusters under watch; one that watches already goes on as it does.
    #[must_use]
    pub fn watching(mut self, settings: WatchSettings) -> Self {
        self.watch(settings);
        self
    }

    /// Has its clusters watched, unless they are.
    pub fn watch(&mut self, settings: WatchSettings) {
        self.watch.get_or_insert_with(|| Watch::new(settings));
    }

    /// Pages learnt.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The settings of the model.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// What is alive in the model.
    pub fn summary(&self) -> ModelSummary {
        self.model.summary()
    }

    /// Living clusters with the pages given to them at their arrival: as in the view, and cheap.
    pub fn delivered(&self) -> impl Iterator<Item = (ClusterId, u64)> + '_ {
        self.book.alive.iter().map(|(cluster, entry)| (*cluster, entry.delivered))
    }

    /// Whether duplicates are looked for: then [`Pipeline::sift`] comes before [`Pipeline::learn`].
    pub fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Rows that the model learns together: batches of this length, or a multiple, are learnt the same however they are cut.
    pub fn block_len(&self) -> usize {
        self.model.block_len()
    }

    /// Looks for duplicates in a prepared batch that is to be learnt next, as a whole: counts them, or makes rejects of them.
    pub fn sift(&mut self, prepared: &mut Prepared) {
        if let Some(window) = &mut self.window {
            window.sift(prepared);
        }
    }

    /// Learns a prepared batch. `outcome` is overwritten. A block that the batch ends in the middle of ends there, and so does a batch that
    /// was learnt from samples.
    pub fn learn(&mut self, prepared: &Prepared, outcome: &mut Outcome) {
        self.settle();
        outcome.clear();
        outcome.position = self.position;
        let pages = &*self.read(&prepared.pages);
        let mut used = LabelsUsed::default();
        let mut from = 0;
        while from < pages.len() {
            let block = from..pages.len().min(from + self.model.block_len());
            from = block.end;
            self.learn_block(pages, block, outcome, &mut used);
        }
        self.settle_book(&outcome.decisions, pages);
    }

    /// Takes the texts of the latest pages out of a batch.
    fn settle_book(&mut self, decisions: &[Decision], pages: &Pages) {
        self.book.settle(decisions, pages);
        if let Some(watch) = &mut self.watch {
            watch.settle(decisions, pages);
        }
    }

    /// Counts a page as it was decided.
    fn see(&mut self, decision: &Decision, pages: &Pages, row: usize, lineage: &mut Vec<LineageEvent>) {
        self.book.count(decision, self.position, pages, row);
        if let Some(watch) = &mut self.watch {
            watch.see(decision, self.position, pages, row, lineage);
        }
    }

    /// Looks at the pages of a batch before they are decided.
    fn read<'a>(&mut self, pages: &'a Pages) -> Cow<'a, Pages> {
        let position = self.position;
        self.watch.as_mut().map_or(Cow::Borrowed(pages), |watch| watch.read(pages, position))
    }

    /// Pages that are not learnt, with the templates of their addresses as terms if these have a weight.
    fn look<'a>(&self, pages: &'a Pages) -> Cow<'a, Pages> {
        self.watch.as_ref().map_or(Cow::Borrowed(pages), |watch| watch.look(pages))
    }

    fn learn_block(&mut self, pages: &Pages, block: Range<usize>, outcome: &mut Outcome, used: &mut LabelsUsed) {
        let noted = outcome.lineage.len();
        self.model.learn(pages, block.clone(), &mut outcome.decisions, &mut outcome.lineage);
        if outcome.lineage.len() > noted || self.model.generation() != self.generation {
            let hand = AtHand { pages, decisions: &outcome.decisions, new: block.clone() };
            self.take_note(noted, &hand, &mut outcome.lineage);
            used.forget();
        }
        for row in block {
            let decision = outcome.decisions[row];
            self.see(&decision, pages, row, &mut outcome.lineage);
            if !self.kept.is_empty() {
                self.kept.count(decision.cluster, pages, row);
            }
            self.position += 1;
            outcome.label.push(self.label_of(decision.cluster, used, &mut outcome.labels));
        }
        if self.model.block_len() > 1 {
            // What the model tells of a block comes all at once, before what is seen in it.
            outcome.lineage[noted..].sort_by_key(|event| event.position);
        }
    }

    /// Number of a cluster's label among those that a batch uses.
    fn label_of(&self, cluster: ClusterId, used: &mut LabelsUsed, labels: &mut Vec<String>) -> u32 {
        used.number(cluster, labels, || self.book.alive.get(&cluster).map_or(String::new(), |entry| entry.shown().to_owned()))
    }

    /// Brings the book up to date with the lineage from `noted` on, and the labels with the model.
    fn take_note(&mut self, noted: usize, hand: &AtHand<'_>, lineage: &mut Vec<LineageEvent>) {
        let (mut born, mut parted) = (Vec::new(), BTreeMap::new());
        for event in &lineage[noted..] {
            self.note(event);
            match event.happening {
                Happening::ClusterBorn { micro_cluster, .. } => born.push((event.cluster, micro_cluster)),
                Happening::MicroMoved { from, .. } | Happening::ClusterSplit { from, .. } => {
                    parted.entry(event.cluster).or_insert(from);
                }
                _ => {}
            }
        }
        let titles = Titles { hand, parted };
        if self.model.generation() != self.generation {
            self.generation = self.model.generation();
            self.book.age_examples();
            if let Some(watch) = &mut self.watch {
                watch.age();
            }
            for (cluster, terms) in label::describe(self.model.as_ref()) {
                relabel(&mut self.book, cluster, terms, &titles, self.position, lineage);
            }
        }
        for (cluster, micro_cluster) in born {
            let unlabelled = self.book.alive.get(&cluster).is_some_and(|entry| entry.label.is_empty());
            if unlabelled {
                let found: Vec<_> = self.model.micro_terms(&[micro_cluster]).into_iter().flatten().collect();
                let terms = Terms::new(self.model.as_ref(), found.clone(), &found);
                relabel(&mut self.book, cluster, terms, &titles, self.position, lineage);
            }
        }
    }

    fn note(&mut self, event: &LineageEvent) {
        if let Some(forgotten) = self.book.note(event) {
            self.kept.forget(forgotten);
        }
        if let Some(watch) = &mut self.watch {
            watch.note(event);
        }
    }

    /// Where pages belong among the clusters as they stand, without learning them: one a page, none while nothing was learnt.
    pub fn place(&self, pages: &Pages) -> Vec<Option<Assignment>> {
        let mut places = Vec::with_capacity(pages.len());
        self.model.place(&self.look(pages), 0..pages.len(), &mut places);
        places
    }

    /// What a living cluster is called now.
    pub fn label(&self, cluster: ClusterId) -> Option<&str> {
        self.book.alive.get(&cluster).map(book::Entry::shown)
    }

    /// Why the model, as it stands, would put page `row` where it would, in words of the page.
    pub fn explain(&self, pages: &Pages, row: usize) -> Explanation {
        let mut why = self.model.explain(&self.look(pages), row);
        let said = Said::new([&pages.title, &pages.keywords, &pages.description].map(|column| column.get(row)).to_vec());
        for candidate in [&mut why.winner, &mut why.runner_up].into_iter().flatten() {
            candidate.parts = said.parts(std::mem::take(&mut candidate.parts));
        }
        why
    }

    /// The whole state as bytes; equal states give equal bytes.
    ///
    /// # Panics
    /// A batch that is learnt from a sample was not ended by [`Pipeline::settle`].
    pub fn snapshot(&self) -> Vec<u8> {
        assert!(self.ended.is_none(), "the batch at hand must be settled first");
        let state = State {
            settings: self.settings.clone(),
            unicode: unicode_segmentation::UNICODE_VERSION,
            position: self.position,
            generation: self.generation,
            book: self.book.clone(),
            model: self.model.snapshot(),
        };
        let bytes = |result: postcard::Result<Vec<u8>>| result.expect("plain data in memory always serializes");
        let state = bytes(postcard::to_stdvec(&state));
        // A state that an older format can say stays in it: learning its rows again gives the bytes that are on record.
        let watch = self.watch.as_ref().filter(|watch| watch.is_written(self.position));
        let format = match (&self.window, self.done.is_empty()) {
            _ if watch.is_some() => FORMAT_WATCH,
            (_, false) => FORMAT_HAND,
            (Some(_), true) => FORMAT_WINDOW,
            (None, true) if self.kept.is_empty() => return snapshot::seal(FORMAT_ALONE, &state),
            (None, true) => FORMAT_KEPT,
        };
        let mut state = bytes(postcard::to_extend(&More { kept: self.kept.clone() }, state));
        let window = self.window.as_ref().map(Window::state);
        state = match (format, window) {
            (FORMAT_HAND.., window) => bytes(postcard::to_extend(&Hand { window, done: self.done.clone() }, state)),
            (_, Some(window)) => bytes(postcard::to_extend(&window, state)),
            (_, None) => state,
        };
        if let Some(watch) = watch {
            state = bytes(postcard::to_extend(&watch.state(), state));
        }
        snapshot::seal(format, &state)
    }

    /// The pipeline that a snapshot was made of.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = |error: &dyn std::fmt::Display| SnapshotError::Damaged(error.to_string());
        let (format, body) = snapshot::open(bytes)?;
        let (state, rest): (State, _) = postcard::take_from_bytes(body).map_err(|error| damaged(&error))?;
        let (more, rest) = if format < FORMAT_KEPT { Default::default() } else { part::<More>(rest)? };
        let (Hand { window, done }, rest) = match format {
            FORMAT_WINDOW => (Hand { window: Some(part(rest)?.0), ..Hand::default() }, rest),
            FORMAT_HAND.. => part(rest)?,
            _ => (Hand::default(), rest),
        };
        let n_slots = state.settings.clusters.slots();
        let watch = if format < FORMAT_WATCH { None } else { Some(Watch::restore(part(rest)?.0, n_slots)?) };
        let window = window.map(|window| Window::restore(&window)).transpose()?;
        let mut model = cluster::new_model(&state.settings).map_err(|error| damaged(&error))?;
        model.restore(&state.model)?;
        let (State { settings, position, generation, book, .. }, More { kept }) = (state, more);
        Ok(Self {
            settings,
            model,
            book,
            kept,
            window,
            done,
            watch,
            position,
            generation,
            ended: None,
            languages: Languages::default(),
        })
    }
}

/// Pages of a batch that is being learnt, and the clusters of the first of them; of those that are `new` the book knows nothing yet.
struct AtHand<'a> {
    pages: &'a Pages,
    decisions: &'a [Decision],
    new: Range<usize>,
}

/// Where titles of a cluster are found.
struct Titles<'a> {
    hand: &'a AtHand<'a>,
    /// Clusters that have just got something of another one.
    parted: BTreeMap<ClusterId, ClusterId>,
}

impl<'a> Titles<'a> {
    /// Titles of pages of a cluster; while it has none, of the one that it was parted from.
    fn of(&'a self, cluster: ClusterId, book: &'a Book) -> Vec<&'a str> {
        let AtHand { pages, decisions, new } = self.hand;
        let new = new.clone().filter(|row| decisions[*row].cluster == cluster).take(book::EXAMPLES);
        let titles = |cluster: &ClusterId| book.alive.get(cluster).map(|entry| entry.titles(pages)).unwrap_or_default();
        let own: Vec<_> = new.map(|row| book::title(pages, row)).chain(titles(&cluster)).collect();
        if own.is_empty() { self.parted.get(&cluster).map(titles).unwrap_or_default() } else { own }
    }
}

/// Makes the label of a cluster anew, where it must be.
fn relabel(
    book: &mut Book,
    cluster: ClusterId,
    mut terms: Terms<'_>,
    titles: &Titles<'_>,
    position: u64,
    lineage: &mut Vec<LineageEvent>,
) {
    let Some(entry) = book.alive.get(&cluster) else { return };
    // One that nothing is left to describe keeps its last words until it has others.
    if terms.best.is_empty() && !entry.label.is_empty() {
        return;
    }
    let said = Said::new(if terms.has_pairs() { titles.of(cluster, book) } else { Vec::new() });
    let label = label::label_of(&terms, &said, Some(&entry.label));
    let Some(entry) = book.alive.get_mut(&cluster) else { return };
    terms.best.truncate(label::TERMS_KEPT);
    entry.terms = terms.best;
    if label != entry.label {
        let why = Relabel::between(&entry.label, &label);
        entry.label.clone_from(&label);
        lineage.push(LineageEvent { position, cluster, happening: Happening::Relabelled { label, why } });
    }
}

/// The next part of a snapshot, and what is behind it.
fn part<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), SnapshotError> {
    postcard::take_from_bytes(bytes).map_err(|error| SnapshotError::Damaged(error.to_string()))
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("settings", &self.settings).field("position", &self.position).finish_non_exhaustive()
    }
}

/// Which labels of a batch have a number already.
#[derive(Debug, Default)]
struct LabelsUsed {
    numbers: Vec<(ClusterId, u32)>,
}

impl LabelsUsed {
    /// Labels may have changed: number them anew.
    fn forget(&mut self) {
        self.numbers.clear();
    }

    fn number(&mut self, cluster: ClusterId, labels: &mut Vec<String>, shown: impl FnOnce() -> String) -> u32 {
        if let Some((_, number)) = self.numbers.iter().find(|(known, _)| *known == cluster) {
            return *number;
        }
        let number = u32::try_from(labels.len()).expect("a batch has fewer labels than rows");
        labels.push(shown());
        self.numbers.push((cluster, number));
        number
    }
}

#[cfg(test)]
mod tests;
