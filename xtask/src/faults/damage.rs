//! State files that are not what was written, or are gone: mended with the same answer, or refused with a documented code. Never a panic, and
//! never taken for whole.
//!
//! ```text
//! base ─ copy ─ one file damaged ─ state verify ─ run, with more rows ─┬─ ended: every published byte as from an undamaged copy
//!                                                                      └─ refused: a code of the list, and nothing published changed
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Part;
use super::rig::{Pipeline, Rig};
use crate::campaign::Chance;
use crate::shell::{output, say};

/// What a run may refuse a damaged state with; docs/reference/errors.md has all of them.
const CODES: [&str; 5] = ["E-STATE-DAMAGED", "E-STATE-NEWER", "E-STATE-MISSING", "E-ROWS-GONE", "E-MODEL-DIFFERS"];
const FAMILIES: [&str; 3] = ["pages", "rejects", "lineage"];
const ROWS: usize = 1_200;
const PAGE: usize = 4_096;

/// What may come of a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Refused, always: nothing else tells the same.
    Refused,
    /// Mended, always, from what else there is; `state verify` sees it.
    Mended,
    /// Refused, but for a last line that was never finished.
    RefusedOrCut,
    /// Nothing that counts stands in it.
    Nothing,
}

/// How often what came of it.
#[derive(Default)]
struct Tally {
    mended: usize,
    refused: usize,
    harmless: usize,
}

/// A pipeline with snapshots, edits and a refused edit, and the answer that it gives when it goes on unharmed.
struct Bed {
    rig: Rig,
    base: Pipeline,
    files: Vec<(PathBuf, Fate)>,
    wanted: Answer,
}

#[derive(PartialEq, Eq)]
struct Answer {
    published: BTreeMap<String, Vec<u8>>,
    model: String,
}

pub(super) fn damage(part: &Part<'_>) -> Result<()> {
    let bed = Bed::make(part)?;
    let n = if part.short { 120 } else { 1_000 };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tallies = std::thread::scope(|scope| {
        let work = |thread: usize| {
            let bed = &bed;
            scope.spawn(move || -> Result<Tally> {
                let mut tally = Tally::default();
                for variant in (thread..n).step_by(threads) {
                    bed.damaged(part.seed, variant, &mut tally)
                        .with_context(|| format!("seed {}, variant {variant}", part.seed))?;
                }
                Ok(tally)
            })
        };
        let threads: Vec<_> = (0..threads).map(work).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread of ours died")));
        ended.collect::<Result<Vec<Tally>>>()
    })?;
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (mended, refused, harmless) = (sum(|tally| tally.mended), sum(|tally| tally.refused), sum(|tally| tally.harmless));
    ensure!(mended > 0 && refused > 0 && harmless > 0, "not all came about: {mended}, {refused}, {harmless}");
    say(format_args!(
        "damage: {n} state files damaged, seed {}: {mended} mended with the same answer, {refused} refused, {harmless} that held nothing that \
         counts; no panic, none taken for whole",
        part.seed
    ));
    let deleted = bed.deleted()?;
    say(format_args!("damage: {deleted} state files and folders deleted: each as documented"));
    Ok(())
}

impl Bed {
    fn make(part: &Part<'_>) -> Result<Self> {
        let rig = part.rig.another(part.rig.dir.join("damage"), ROWS)?;
        let mut base = rig.pipeline_with_edits("base")?;
        std::fs::write(base.out.join(".windrow/edits/3-torn.json"), "{\"edit\": \"ren")?;
        base.inputs.truncate(1);
        base.run_to_the_end()?;
        base.inputs = rig.inputs.to_vec();
        let files = state_files(&base.out)?;
        let wanted = Answer { published: BTreeMap::new(), model: String::new() };
        let mut bed = Self { rig, base, files, wanted };
        let answers: Vec<Answer> = ["whole", "once-more"].iter().map(|name| bed.unharmed(name)).collect::<Result<_>>()?;
        ensure!(answers[0] == answers[1], "the same run does not give the same bytes");
        bed.wanted = answers.into_iter().next().context("an answer")?;
        Ok(bed)
    }

    fn unharmed(&self, name: &str) -> Result<Answer> {
        let copy = self.copy(name)?;
        copy.run_to_the_end()?;
        let answer = answer(&copy.out)?;
        copy.remove()?;
        Ok(answer)
    }

    /// A copy that may be harmed: published files are never written to again, and shared.
    fn copy(&self, name: &str) -> Result<Pipeline> {
        let mut copy = self.rig.pipeline(name)?;
        copy.roll_rows = self.base.roll_rows;
        copy_dir(&self.base.out, &copy.out)?;
        Ok(copy)
    }

    fn damaged(&self, seed: u64, variant: usize, tally: &mut Tally) -> Result<()> {
        let mut chance = Chance::new(seed.wrapping_mul(1_000_003) + variant as u64);
        let (file, fate) = &self.files[variant % self.files.len()];
        let copy = self.copy(&format!("damaged-{variant}"))?;
        let path = copy.out.join(file);
        let whole = std::fs::read(&path)?;
        let (how, bytes) = spoil(&whole, &mut chance);
        ensure!(bytes != whole, "{how} changed nothing");
        std::fs::write(&path, bytes)?;
        let came = self.look(&copy, *fate).with_context(|| format!("{}: {how}", file.display()))?;
        let count = match came {
            Fate::Mended => &mut tally.mended,
            Fate::Nothing => &mut tally.harmless,
            Fate::Refused | Fate::RefusedOrCut => &mut tally.refused,
        };
        *count += 1;
        copy.remove()
    }

    /// Goes on with the harmed copy, and says what came of it; it must be what may.
    fn look(&self, copy: &Pipeline, fate: Fate) -> Result<Fate> {
        if fate == Fate::Mended {
            let said = copy.verify().err().context("`state verify` takes it for whole")?.to_string();
            ensure!(said.contains("exit status: 1"), "`state verify`: {said}");
        }
        let ran = output(&mut copy.loud())?;
        let came = match ran.status.code() {
            Some(0) => {
                ensure!(answer(&copy.out)? == self.wanted, "it ended well with another answer: {}", said(&ran));
                if fate == Fate::Nothing { Fate::Nothing } else { Fate::Mended }
            }
            Some(1) => {
                ensure!(CODES.iter().any(|code| said(&ran).contains(code)), "not a code of the list: {}", said(&ran));
                ensure!(published(&copy.out)? == published(&self.base.out)?, "refused, but the output has changed");
                Fate::Refused
            }
            _ => bail!("it ended with {}: {}", ran.status, said(&ran)),
        };
        // A snapshot whose number of its format was hit looks like a newer program's, which must not be passed over.
        let looks_newer = fate == Fate::Mended && said(&ran).contains("E-STATE-NEWER");
        let may_be = came == fate || fate == Fate::RefusedOrCut || looks_newer;
        ensure!(may_be, "{came:?}, and was to be {fate:?}: {}", said(&ran));
        Ok(came)
    }

    /// Each state file alone, and the folders, and all of it.
    fn deleted(&self) -> Result<usize> {
        let gone = |name: &str, fate| (PathBuf::from(name), fate);
        let folders =
            [gone(".windrow", Fate::Refused), gone(".windrow/snapshots", Fate::Mended), gone(".windrow/edits", Fate::Nothing)];
        let files = self.files.iter().map(|(file, fate)| match fate {
            Fate::RefusedOrCut => (file.clone(), Fate::Refused),
            fate => (file.clone(), *fate),
        });
        let all: Vec<_> = files.chain(folders).collect();
        for (at, (path, fate)) in all.iter().enumerate() {
            let copy = self.copy(&format!("deleted-{at}"))?;
            let there = copy.out.join(path);
            let gone = if there.is_dir() { std::fs::remove_dir_all(&there) } else { std::fs::remove_file(&there) };
            gone?;
            self.look(&copy, *fate).with_context(|| format!("{} deleted", path.display()))?;
            copy.remove()?;
        }
        Ok(all.len())
    }
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).trim().to_owned()
}

/// All files of a state, with what may come of each.
fn state_files(out: &Path) -> Result<Vec<(PathBuf, Fate)>> {
    let mut found = vec![(PathBuf::from(".windrow-lock"), Fate::Nothing)];
    let mut folders = vec![PathBuf::from(".windrow")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(out.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let fate = match name.as_str() {
                "files.json" => Fate::Refused,
                "edits.jsonl" => Fate::RefusedOrCut,
                name if name.starts_with("model-") => Fate::Mended,
                "lock" | "last.json" => Fate::Nothing,
                name if name.ends_with(".refused") => Fate::Nothing,
                other => bail!("{other} is a state file that this check does not know"),
            };
            found.push((path, fate));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let count = |wanted| found.iter().filter(|(_, fate)| *fate == wanted).count();
    let counts = [Fate::Refused, Fate::RefusedOrCut, Fate::Mended, Fate::Nothing].map(count);
    ensure!(counts == [1, 1, 3, 4], "manifest, edits, three snapshots, and two locks, last words, a refusal: {found:?}");
    Ok(found)
}

/// Damages bytes in one of the ways that disks, people and programs have.
fn spoil(whole: &[u8], chance: &mut Chance) -> (String, Vec<u8>) {
    let mut bytes = whole.to_vec();
    let at = chance.below(whole.len());
    let how = match chance.below(4) {
        0 => {
            bytes[at] ^= 1 << chance.below(8);
            format!("a bit of byte {at} turned")
        }
        1 => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
        2 => {
            let from = at / PAGE * PAGE;
            let to = (from + PAGE).min(bytes.len());
            bytes[from..to].fill(0);
            format!("zeros from {from} to {to}")
        }
        _ => {
            let tail = 1 + chance.below(2 * PAGE);
            bytes.extend((0..tail).map(|_| u8::try_from(chance.below(256)).unwrap_or(0)));
            format!("{tail} bytes behind its end")
        }
    };
    if bytes == whole {
        // Zeros over zeros.
        bytes[at] ^= 1;
    }
    (how, bytes)
}

/// Files in view with their bytes, by folder and name.
fn published(out: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for family in FAMILIES {
        for entry in std::fs::read_dir(out.join(family))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                found.insert(format!("{family}/{name}"), std::fs::read(out.join(family).join(&name))?);
            }
        }
    }
    Ok(found)
}

/// What an output comes to: all that is published, and the model's hash.
fn answer(out: &Path) -> Result<Answer> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(out.join(".windrow/files.json"))?)?;
    let snapshots = manifest["body"]["snapshots"].as_array().context("a manifest names snapshots")?;
    let model = snapshots.last().context("a snapshot")?["model"].to_string();
    Ok(Answer { published: published(out)?, model })
}

/// Copies a folder; what is published is linked.
fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_dir(&from, &to)?;
        } else if from.extension().is_some_and(|extension| extension == "parquet") {
            std::fs::hard_link(&from, &to)?;
        } else {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
