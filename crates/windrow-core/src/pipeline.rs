//! The stages put together: `prepare` (anywhere), `learn` (in order).

use crate::clean::{CleanRow, clean};
use crate::cluster::Decision;
use crate::featurize::{Featurizer, FieldWeights};
use crate::lineage::LineageEvent;
use crate::record::{Pages, Reject, RejectReason, Row};

/// A batch after cleaning and featurizing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// Rows that the batch held: pages and rejects.
    pub n_rows: u64,
    /// The pages, in order.
    pub pages: Pages,
    /// The rejects, in order.
    pub rejects: Vec<Reject>,
}

/// What learning a batch gave: one decision and one label a page, and what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// One decision a page.
    pub decisions: Vec<Decision>,
    /// For each page the number of its cluster's label at that moment, in `labels`.
    pub label: Vec<u32>,
    /// Labels used in this batch.
    pub labels: Vec<String>,
    /// What happened, in order.
    pub lineage: Vec<LineageEvent>,
}

/// Makes pages or rejects of rows; holds scratch memory only, one for each thread.
#[derive(Debug)]
pub struct Preparer {
    featurizer: Featurizer,
}

impl Preparer {
    /// A preparer with these field weights.
    pub fn new(weights: FieldWeights) -> Self {
        Self { featurizer: Featurizer::new(weights) }
    }

    /// Cleans and featurizes the rows of one batch. A record that could not be read as a row comes as a reject.
    pub fn prepare<'a>(&mut self, rows: impl Iterator<Item = Result<Row<'a>, Reject>>) -> Prepared {
        let mut prepared = Prepared::default();
        self.featurizer.start_batch();
        for row in rows {
            prepared.n_rows += 1;
            match row.and_then(|row| Ok((row, clean(&row).map_err(|reason| reject(&row, reason))?))) {
                Ok((row, page)) => self.add_page(&row, &page, &mut prepared.pages),
                Err(reject) => prepared.rejects.push(reject),
            }
        }
        prepared
    }

    fn add_page(&mut self, row: &Row<'_>, page: &CleanRow<'_>, pages: &mut Pages) {
        pages.origin.push(row.origin);
        pages.creation_time.push(page.creation_time);
        pages.id.push(page.id);
        pages.url.push(page.url);
        pages.title.push(page.title);
        pages.keywords.push(page.keywords);
        pages.description.push(page.description);
        self.featurizer.featurize(page, pages);
    }
}

fn reject(row: &Row<'_>, reason: RejectReason) -> Reject {
    Reject { origin: row.origin, reason, raw: row.raw.to_vec() }
}
