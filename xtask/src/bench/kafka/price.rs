//! What a promise costs, and what a topic costs.
//!
//! Windrow has no mode without transactions, so the price of exactly once is measured on the bare copy: the same program once with
//! transactions, and once with an idempotent producer that commits its offsets after it is sure of its messages, which doubles rows when
//! it dies between the two. What both write is the same, so the difference is the price.

use anyhow::Result;

use super::field::{Field, Pipeline};
use super::{EPOCH_MS, Extent, median};
use crate::shell::say;

const TOPICS: [u32; 3] = [1, 50, 200];

pub(super) fn price(field: &Field, extent: &Extent) -> Result<()> {
    say(format_args!("what promises and topics cost, {} rows, commits of {EPOCH_MS} ms:", extent.rows));
    for topics in TOPICS {
        // The same clusters all along; one topic for all of them is the keyed one.
        let more = if topics == 1 { "kafka = \"keyed\"" } else { "" };
        let pipeline = Pipeline::new(field, "price", "pages", topics.max(super::TOPICS), EPOCH_MS, more)?;
        pipeline.make_topics()?;
        field.produce(&pipeline, extent.rows)?;
        field.make_copies(&pipeline, topics)?;
        let (mut exactly, mut at_least, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..extent.turns {
            exactly.push(field.copy(&pipeline, topics, "transactional", &[])?);
            at_least.push(field.copy(&pipeline, topics, "at-least-once", &[])?);
        }
        ours.push(pipeline.run(&[])?);
        let (exactly, at_least, ours) = (median(exactly), median(at_least), median(ours));
        let price = 100.0 * (1.0 - exactly.rate() / at_least.rate());
        say(format_args!("  {topics} topics:"));
        say(format_args!("    copy, at least once:                  {at_least}"));
        say(format_args!("    copy, exactly once:                   {exactly}"));
        say(format_args!("    price of exactly once:                {price:>9.1} % of the rate"));
        say(format_args!("    windrow run, exactly once:            {ours}"));
        field.clear()?;
    }
    Ok(())
}
