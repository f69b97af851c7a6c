//! Everything that can wake the loop.

use crate::batch::Batch;
use crate::error::Error;

/// What the loop waits for. Closed: whatever wakes the loop is listed here.
#[derive(Debug)]
pub enum Event {
    /// The next batch of the order.
    Batch(Box<Batch>),
    /// The input has ended.
    End,
    /// Reading failed.
    Failed(Error),
}
