//! Disks that are full: at every kind of write, under the room that is kept, and before a run begins.
//!
//! ```text
//! worker ─ stop at a point ─ the small disk is filled to the brim ─ wakes ─ a write finds no room ─ waits, and says why
//!                                                          room comes ─ goes on by itself ─ the same answer
//! ```
//!
//! A kind of write is met by a small tmpfs on the folder that it goes to, alone. The proof is what the worker itself wrote down: the file, and
//! the kernel's words. Mounting wants the right to mount; where it is missing the suite fails and says so.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Part;
use super::rig::{PATIENCE_S, Pipeline};
use crate::kafka::Running;
use crate::shell::{output, say, stdout, wait_for};

/// The kernel's words.
const NO_ROOM: &str = "No space left on device";

/// A kind of write.
struct Kind {
    name: &'static str,
    /// The folder that is a disk of its own; none: the output folder itself.
    folder: &'static str,
    /// Where the worker stands while the disk is filled.
    point: &'static str,
    /// What the file that finds no room is called.
    file: &'static str,
}

const KINDS: [Kind; 8] = [
    Kind { name: "pages", folder: "pages", point: "after-learn", file: "/pages/.part-" },
    Kind { name: "rejects", folder: "rejects", point: "after-learn", file: "/rejects/.part-" },
    Kind { name: "lineage", folder: "lineage", point: "after-learn", file: "/lineage/.part-" },
    Kind { name: "snapshot", folder: ".windrow/snapshots", point: "after-parquet-fsync", file: "/snapshots/.model-" },
    Kind { name: "manifest", folder: ".windrow", point: "after-snapshot", file: "/.files.json" },
    Kind { name: "edits", folder: ".windrow", point: "after-commit", file: "/edits.jsonl" },
    Kind { name: "all, while learning", folder: "", point: "after-learn", file: "/" },
    Kind { name: "all, in a roll", folder: "", point: "before-parquet-fsync", file: "/" },
];

pub(super) fn disk(part: &Part<'_>) -> Result<()> {
    let rounds = if part.short { 1 } else { 20 };
    let mut full = 0;
    for round in 0..rounds {
        for kind in &KINDS {
            write_finds_no_room(part, kind, round).with_context(|| format!("no room for {}, round {round}", kind.name))?;
            full += 1;
        }
    }
    full += killed_while_it_waits(part).context("killed while it waited for room")?;
    full += reserve(part).context("less room than is kept")?;
    full += full_before(part).context("a run that begins on a full disk")?;
    say(format_args!("disk: {full} times no room, at {} kinds of write, each told; went on with the same answer", KINDS.len()));
    Ok(())
}

/// A small disk in memory, gone with its value.
pub(super) struct Small(PathBuf);

impl Small {
    pub(super) fn mount(at: &Path, megabytes: u32) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let small = Self(at.to_owned());
        let done =
            output(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "windrow-faults"]).arg(at))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!(
                "a small disk cannot be mounted ({}): full disks want the right to mount. Call this as root, or as \
                 `unshare --mount --map-root-user cargo xtask faults embedded`",
                said.trim()
            );
        }
        Ok(small)
    }

    /// Takes the right to write away, or gives it back.
    pub(super) fn may_be_written(&self, may: bool) -> Result<()> {
        let how = if may { "remount,rw" } else { "remount,ro" };
        stdout(Command::new("mount").args(["-o", how]).arg(&self.0)).map(drop)
    }

    /// Fills it to the brim, but for some bytes.
    fn fill(&self, but: u64) -> Result<Filler> {
        let filler = Filler(self.0.join("filler"));
        let mut file = File::create(&filler.0)?;
        let piece = vec![7; 1 << 16];
        loop {
            match file.write(&piece) {
                Ok(0) => bail!("nothing is written, and nothing said"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        let len = file.metadata()?.len();
        file.set_len(len.saturating_sub(but))?;
        Ok(filler)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Whoever still has a file open there does not keep the name.
        let _ = output(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

/// What fills a disk, until it is dropped.
struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a worker says that it waits for; it must be room.
fn waits_for_room(pipeline: &Pipeline, worker: &mut Running) -> Result<Value> {
    let waits = wait_for(PATIENCE_S, || {
        ensure!(worker.is_alive()?, "the worker ended: {:?}", worker.ended());
        let status = pipeline.status()?;
        Ok((status["standing"] == "waiting").then(|| status["waits"].clone()))
    });
    let waits = waits?.context("the worker does not wait")?;
    ensure!(waits["code"] == "E-DISK-FULL", "it waits for another thing: {waits}");
    Ok(waits)
}

fn goes_on(part: &Part<'_>, pipeline: &Pipeline, worker: &mut Running) -> Result<()> {
    let status = wait_for(PATIENCE_S, || worker.ended())?.context("it does not go on")?;
    ensure!(status.code() == Some(0), "it ended with {status}");
    ensure!(pipeline.has_said("worker", "goes on after"), "it did not say that it goes on");
    is_as_undisturbed(part, pipeline)
}

fn is_as_undisturbed(part: &Part<'_>, pipeline: &Pipeline) -> Result<()> {
    pipeline.audit()?;
    pipeline.verify()?;
    part.rig.same(part.reference, pipeline)
}

fn write_finds_no_room(part: &Part<'_>, kind: &Kind, round: usize) -> Result<()> {
    let pipeline = part.rig.pipeline("full")?;
    let small = Small::mount(&pipeline.out.join(kind.folder), 48)?;
    let mut worker = pipeline.stopped_at(kind.point, 4 + round % 10, &[])?;
    if kind.name == "edits" {
        let request = pipeline.out.join(".windrow/edits/1-pin.json");
        // Of a cluster that is not there: it is written down like any other, refused, and changes nothing.
        std::fs::write(request, r#"{"edit": "pin", "cluster": 99999, "pinned": true}"#)?;
    }
    let filler = small.fill(0)?;
    worker.signal("CONT")?;
    let waits = waits_for_room(&pipeline, &mut worker)?;
    let told = waits.to_string();
    ensure!(told.contains(NO_ROOM) && told.contains(kind.file), "not the write that was meant: {told}");
    // What is committed is whole while it waits, and stays so.
    pipeline.audit()?;
    pipeline.verify()?;
    drop(filler);
    let ended = goes_on(part, &pipeline, &mut worker);
    drop(small);
    ended?;
    pipeline.remove()
}

fn killed_while_it_waits(part: &Part<'_>) -> Result<usize> {
    let pipeline = part.rig.pipeline("full-killed")?;
    let small = Small::mount(&pipeline.out, 48)?;
    let mut worker = pipeline.stopped_at("before-parquet-fsync", 4, &[])?;
    let filler = small.fill(0)?;
    worker.signal("CONT")?;
    waits_for_room(&pipeline, &mut worker)?;
    drop(worker);
    drop(filler);
    pipeline.run_to_the_end()?;
    is_as_undisturbed(part, &pipeline)?;
    drop(small);
    Ok(1)
}

/// What is learnt is committed before the disk is full.
fn reserve(part: &Part<'_>) -> Result<usize> {
    let pipeline = part.rig.pipeline("reserve")?;
    let small = Small::mount(&pipeline.out, 64)?;
    let kept = ("WINDROW__LIMITS__FREE_DISK", "24MB");
    let filler = small.fill(16 << 20)?;
    let refused = output(pipeline.command().env(kept.0, kept.1))?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(3) && said.contains("E-DISK-FULL"), "{}: {said}", refused.status);
    drop(filler);
    let mut worker = pipeline.stopped_at("after-learn", 4, &[kept])?;
    let before = pipeline.status()?["rows"].as_u64().context("rows")?;
    let filler = small.fill(16 << 20)?;
    worker.signal("CONT")?;
    let waits = waits_for_room(&pipeline, &mut worker)?;
    ensure!(waits["message"].as_str().is_some_and(|told| told.contains("limits.free_disk")), "{waits}");
    let after = pipeline.status()?["rows"].as_u64().context("rows")?;
    ensure!(after > before, "what was learnt is not committed: {before} rows before, {after} rows since");
    drop(filler);
    goes_on(part, &pipeline, &mut worker)?;
    drop(small);
    pipeline.remove()?;
    Ok(2)
}

/// Not even its lock can be written.
fn full_before(part: &Part<'_>) -> Result<usize> {
    let pipeline = part.rig.pipeline("full-before")?;
    let small = Small::mount(&pipeline.out, 48)?;
    let filler = small.fill(0)?;
    let refused = output(&mut pipeline.command())?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(3) && said.contains("E-DISK-FULL") && said.contains(NO_ROOM), "{said}");
    drop(filler);
    pipeline.run_to_the_end()?;
    is_as_undisturbed(part, &pipeline)?;
    drop(small);
    Ok(1)
}
