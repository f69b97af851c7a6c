//! `cargo xtask faults embedded`: kills the program wherever it can hurt, and looks whether anything was lost, doubled or changed.
//!
//! ```text
//! undisturbed run ──────────────────────────────► reference: output and model checksum
//! run ─ kill ─ run ─ kill ─ … ─ run to the end ──► must be the same in both directions, and pass the audit
//! ```
//!
//! Besides the kills, each a file of its own in `faults/`: a worker that is stopped beside a standby, disks that are full, state files that are
//! damaged or deleted, permissions taken away and folders replaced, readers that look all the time, and what a user said. Each fault proves that
//! it fired.
//!
//! A kill is `kill -9`: at a named point of the program (feature `failpoints`; the program writes the name down before it dies),
//! or from outside at a seeded time. A kill that did not land proves nothing: a point that was never met fails the suite, a time
//! after the end is halved until it lands. A point of the recovery is met by killing first where recovery has the most to do; a
//! point of the edits, by leaving an edit before the run.

mod damage;
mod disk;
mod hand;
mod pauses;
mod refusals;
mod rig;
mod scans;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::campaign::Chance;
use crate::kafka::faults::Extent;
use crate::shell::{Watch, root, say};
use rig::{Died, Kill, Pipeline, Rig};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to kill
    #[arg(value_parser = ["embedded", "kafka"])]
    what: String,
    /// Each point once, few kills at random times: what `cargo xtask test` runs
    #[arg(long, conflicts_with = "full")]
    short: bool,
    /// Each point three times, twenty kills at random times (the default); of kafka, 300 kills and a million rows
    #[arg(long)]
    full: bool,
    /// Only one of kills, hand, pauses, disk, damage, refusals, scans; or the points whose name holds this, and no random kills; of kafka, one of
    /// workers, brokers, topics, network, rivals, shapes
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seed of the random times
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn faults(args: &Args) -> Result<()> {
    if args.what == "embedded" {
        return embedded(args);
    }
    let extent = match (args.short, args.full) {
        (true, _) => Extent::SHORT,
        (_, true) => Extent::FULL,
        _ => Extent::USUAL,
    };
    crate::kafka::faults::faults(&extent.with_seed(args.seed), args.only.as_deref())
}

pub(crate) fn short() -> Result<()> {
    embedded(&Args { what: "embedded".into(), short: true, full: false, only: None, seed: 1 })
}

pub(crate) fn full() -> Result<()> {
    embedded(&Args { what: "embedded".into(), short: false, full: true, only: None, seed: 1 })
}

/// Where a kill leaves most to recover: the manifest names files that nobody renamed yet.
const BUSY_RECOVERY: &str = "after-manifest-rename";

fn embedded(args: &Args) -> Result<()> {
    let watch = Watch::start();
    let rows = if args.short { 30_000 } else { 200_000 };
    let rig = Rig::build(rows)?;
    let reference = rig.undisturbed("reference", 2, rows / 20)?;
    say(format_args!("{rows} rows, undisturbed in {:.2} s; the reference: {}", reference.seconds, reference.facts));
    let part = Part { rig: &rig, reference: &reference, short: args.short, seed: args.seed };
    if let Some((_, fault)) = PARTS.iter().find(|(name, _)| args.only.as_deref() == Some(*name)) {
        return fault(&part);
    }
    kills(args, &part, rows)?;
    if args.only.is_none() {
        for (name, fault) in PARTS {
            let watch = Watch::start();
            fault(&part).context(name)?;
            say(format_args!("{name}: {:.0} s", watch.seconds()));
        }
    }
    say(format_args!("faults: {:.0} s", watch.seconds()));
    Ok(())
}

/// What the other faults are done to, and how much of it.
struct Part<'a> {
    rig: &'a Rig,
    reference: &'a Pipeline,
    short: bool,
    seed: u64,
}

/// A kind of fault.
type Fault = fn(&Part<'_>) -> Result<()>;

/// The faults besides the kills.
const PARTS: [(&str, Fault); 6] = [
    ("hand", hand::hand),
    ("pauses", pauses::pauses),
    ("disk", disk::disk),
    ("damage", damage::damage),
    ("refusals", refusals::refusals),
    ("scans", scans::scans),
];

/// Kills at every point and at random times.
fn kills(args: &Args, part: &Part<'_>, rows: usize) -> Result<()> {
    let Part { rig, reference, .. } = *part;
    let only = args.only.as_deref().filter(|only| *only != "kills");
    let edited = rig.undisturbed_with_edits("reference-edited")?;
    let mut kills = 0;
    if only.is_none() {
        for (threads, roll_rows) in [(1, rows / 20), (2, 1_000), (2, 100_000)] {
            let other = rig.undisturbed(&format!("threads-{threads}-roll-{roll_rows}"), threads, roll_rows)?;
            rig.same(reference, &other).with_context(|| format!("threads {threads}, rolls of {roll_rows} rows"))?;
            say(format_args!("same answer with --threads {threads} --roll-rows {roll_rows}"));
        }
    }
    for point in points()?
        .iter()
        .filter(|point| !point.starts_with("kafka"))
        .filter(|point| only.is_none_or(|only| point.contains(only)))
    {
        let wanted = if point.starts_with("after-edit") { &edited } else { reference };
        for round in 0..if args.short { 1 } else { 3 } {
            kills += at_point(rig, wanted, point, round).with_context(|| format!("{point}, round {round}"))?;
        }
        say(format_args!("killed at {point}: recovered, audited, same answer"));
    }
    if only.is_none() {
        let mut chance = Chance::new(args.seed);
        for round in 0..if args.short { 3 } else { 20 } {
            kills += at_random_times(rig, reference, round, &mut chance).with_context(|| format!("random kill {round}"))?;
        }
    }
    ensure!(kills > 0, "there is no part and no point of that name");
    say(format_args!("kills: {kills}, every one landed, nothing lost, doubled or changed"));
    Ok(())
}

/// Names of the points, as the engine lists them; those of topics, which want a broker, begin with `kafka`.
pub(crate) fn points() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("crates/windrow-engine/src/failpoint.rs"))?;
    let file = syn::parse_file(&text)?;
    let list = file.items.iter().find_map(|item| match item {
        syn::Item::Const(item) if item.ident == "ALL" => Some(&*item.expr),
        _ => None,
    });
    let mut list = list.context("failpoint.rs has no const ALL")?;
    if let syn::Expr::Reference(reference) = list {
        list = &reference.expr;
    }
    let syn::Expr::Array(array) = list else { bail!("failpoint::ALL is no array") };
    let names = array.elems.iter().filter_map(|element| match element {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    });
    Ok(names.collect())
}

/// Kills at a point; which passing, and what happened before, changes with the round.
fn at_point(rig: &Rig, reference: &Pipeline, point: &str, round: usize) -> Result<usize> {
    let edits = point.starts_with("after-edit");
    let name = format!("{point}-{round}");
    let mut kills = 0;
    // Later passings first; a point that is met once a run is killed at that.
    for nth in if round == 2 { &[7, 2, 1][..] } else { &[1][..] } {
        let pipeline = if edits { rig.pipeline_with_edits(&name)? } else { rig.pipeline(&name)? };
        // A life before this one, so that there is something to recover.
        let before =
            if point.starts_with("recovery") { Some(BUSY_RECOVERY) } else { (round == 1 && !edits).then_some("after-commit") };
        if let Some(before) = before {
            ensure!(pipeline.run_until(&Kill::Point(before, 1 + round))? == Died::Killed, "{before} was not met");
            kills += 1;
        }
        match pipeline.run_until(&Kill::Point(point, *nth))? {
            Died::Killed => {
                kills += 1;
                rig.to_the_end(&pipeline)?;
                rig.same(reference, &pipeline)?;
                pipeline.remove()?;
                return Ok(kills);
            }
            Died::Ended if *nth > 1 => pipeline.remove()?,
            Died::Ended => bail!("the point was not met"),
        }
    }
    bail!("the point was not met")
}

/// Kills at a random time, and once more soon after the restart.
fn at_random_times(rig: &Rig, reference: &Pipeline, round: usize, chance: &mut Chance) -> Result<usize> {
    let share = 0.05 + 0.7 * chance.below(1_000) as f64 / 1_000.0;
    let soon = Duration::from_millis(5 + chance.below(60) as u64);
    let pipeline = rig.pipeline(&format!("random-{round}"))?;
    let mut after = Duration::from_secs_f64(reference.seconds * share);
    while pipeline.run_until(&Kill::After(after))? == Died::Ended {
        after /= 2;
        ensure!(after > Duration::from_millis(1), "no kill landed");
        pipeline.remove()?;
    }
    let second = pipeline.run_until(&Kill::After(soon))?;
    rig.to_the_end(&pipeline)?;
    rig.same(reference, &pipeline)?;
    pipeline.remove()?;
    let again = if second == Died::Killed { format!(", and {soon:?} after the restart") } else { String::new() };
    say(format_args!("killed after {after:?}{again}: recovered, audited, same answer"));
    Ok(if second == Died::Killed { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_points_is_found() {
        let points = super::points().unwrap();
        assert!(points.len() >= 10 && points.iter().any(|point| point == super::BUSY_RECOVERY), "{points:?}");
    }
}
