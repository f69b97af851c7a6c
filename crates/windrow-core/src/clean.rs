//! CLEAN: a row becomes a page or a reject. Stateless.

use crate::record::{Micros, RejectReason, Row};

/// The columns of a row that passed cleaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanRow<'a> {
    /// Event time, when the row has one.
    pub creation_time: Option<Micros>,
    /// The campaign's id.
    pub id: &'a str,
    /// The page's address.
    pub url: &'a str,
    /// The title.
    pub title: &'a str,
    /// The keywords.
    pub keywords: &'a str,
    /// The description.
    pub description: &'a str,
}

/// Cleans one row.
pub fn clean<'a>(_row: &Row<'a>) -> Result<CleanRow<'a>, RejectReason> {
    Err(RejectReason::EmptyPage)
}
