//! Permissions taken away, folders replaced, links where files should be: a clear error and exit code 3, and nothing lost once it is mended.
//!
//! The user root may do everything: as root, the runs are those of another user.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Part;
use super::disk::Small;
use super::rig::{PATIENCE_S, Pipeline, Rig};
use crate::shell::{output, say, stdout, wait_for};

const ROWS: usize = 4_000;
/// Nobody.
const OTHER: u32 = 65_534;

/// What may not be read or written, with the rights left and the words that must be said.
const FORBIDDEN: [(&str, u32, &str); 10] = [
    (".windrow", 0o555, "cannot write"),
    (".windrow", 0o000, "Permission denied"),
    (".windrow/files.json", 0o000, "cannot read"),
    (".windrow/edits.jsonl", 0o000, "cannot read"),
    (".windrow/lock", 0o444, "cannot open"),
    (".windrow/snapshots", 0o555, "cannot write"),
    (".windrow-lock", 0o444, "cannot open"),
    ("pages", 0o555, "cannot create"),
    ("pages", 0o000, "cannot read"),
    ("rejects", 0o555, "cannot create"),
];

/// What is done under a run that stands at a point, and the code that it must end with.
const UNDER_A_RUN: [(&str, Deed, &str); 5] = [
    ("after-parquet-fsync", Deed::Forbid("pages"), "E-IO"),
    ("after-learn", Deed::Forbid(".windrow"), "E-IO"),
    ("after-learn", Deed::Replace { copied: false }, "E-FOLDER-MOVED"),
    ("after-parquet-fsync", Deed::Replace { copied: true }, "E-FOLDER-MOVED"),
    ("before-manifest-rename", Deed::Replace { copied: true }, "E-FOLDER-MOVED"),
];

#[derive(Clone, Copy)]
enum Deed {
    /// A folder may not be written any more.
    Forbid(&'static str),
    /// The output folder is moved away, and an empty one, or a copy from before the run, stands in its place.
    Replace { copied: bool },
}

struct Bed {
    _folder: tempfile::TempDir,
    rig: Rig,
    base: Pipeline,
    wanted: Pipeline,
}

pub(super) fn refusals(part: &Part<'_>) -> Result<()> {
    let bed = Bed::make(part)?;
    let mut refused = 0;
    for (path, rights, words) in FORBIDDEN {
        bed.forbidden(path, rights, words).with_context(|| format!("{path} with the rights {rights:o}"))?;
        refused += 1;
    }
    for (at, (point, deed, code)) in UNDER_A_RUN.into_iter().enumerate() {
        bed.under_a_run(at, point, deed, code).with_context(|| format!("the {at}. deed under a run, at {point}"))?;
        refused += 1;
    }
    bed.input().context("an input that may not be read")?;
    bed.nowhere().context("an output that cannot be made")?;
    bed.read_only().context("a file system that is read-only")?;
    bed.links().context("links")?;
    refused += 6;
    say(format_args!(
        "refusals: {refused} times exit code 3 with a documented code, and the same answer once it was mended; links do no harm"
    ));
    Ok(())
}

fn rights(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| format!("the rights of {}", path.display()))
}

impl Bed {
    /// In a folder that everybody may go through, whatever the one of this checkout is like.
    fn make(part: &Part<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("windrow-faults-").tempdir()?;
        rights(folder.path(), 0o755)?;
        let work = folder.path().join("work");
        let mut rig = part.rig.another(work.clone(), ROWS)?;
        let windrow = folder.path().join("windrow");
        std::fs::copy(&rig.windrow, &windrow)?;
        rig.windrow = windrow;
        if rustix::process::geteuid().is_root() {
            rig.user = Some(OTHER);
            chown(&work, rig.user, rig.user)?;
        }
        let mut base = rig.pipeline("base")?;
        base.inputs.truncate(1);
        base.run_to_the_end()?;
        // One edit that changes nothing, so that there is a log of them.
        let request = base.out.join(".windrow/edits/1-pin.json");
        std::fs::write(&request, r#"{"edit": "pin", "cluster": 99999, "pinned": true}"#)?;
        rights(&request, 0o644)?;
        base.run_to_the_end()?;
        base.inputs = rig.inputs.to_vec();
        let wanted = Self::copy_of(&rig, &base, "wanted")?;
        wanted.run_to_the_end()?;
        Ok(Self { _folder: folder, rig, base, wanted })
    }

    fn copy_of(rig: &Rig, base: &Pipeline, name: &str) -> Result<Pipeline> {
        let copy = rig.pipeline(name)?;
        copy_whole(&base.out, &copy.out)?;
        Ok(copy)
    }

    fn copy(&self, name: &str) -> Result<Pipeline> {
        Self::copy_of(&self.rig, &self.base, name)
    }

    /// Ends with code 3 and these words.
    fn is_refused(pipeline: &Pipeline, code: &str, words: &str) -> Result<()> {
        let ran = output(&mut pipeline.command())?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.code() == Some(3), "it ended with {}: {said}", ran.status);
        ensure!(said.contains(&format!("error[{code}]")) && said.contains(words) && said.contains("hint: "), "it said: {said}");
        Ok(())
    }

    /// Goes on to the same answer.
    fn is_mended(&self, pipeline: &Pipeline) -> Result<()> {
        pipeline.run_to_the_end().context("once it was mended")?;
        pipeline.audit()?;
        self.rig.same(&self.wanted, pipeline)?;
        pipeline.remove()
    }

    fn forbidden(&self, path: &str, mode: u32, words: &str) -> Result<()> {
        let copy = self.copy("forbidden")?;
        let there = copy.out.join(path);
        let before = there.metadata()?.permissions();
        rights(&there, mode)?;
        let refused = Self::is_refused(&copy, "E-IO", words);
        std::fs::set_permissions(&there, before)?;
        refused?;
        self.is_mended(&copy)
    }

    fn under_a_run(&self, at: usize, point: &str, deed: Deed, code: &str) -> Result<()> {
        let copy = self.copy(&format!("under-{at}"))?;
        let mut worker = copy.stopped_at(point, 3, &[])?;
        let away = copy.out.with_extension("away");
        match deed {
            Deed::Forbid(folder) => rights(&copy.out.join(folder), 0o555)?,
            Deed::Replace { copied } => {
                std::fs::rename(&copy.out, &away)?;
                std::fs::create_dir(&copy.out)?;
                chown(&copy.out, self.rig.user, self.rig.user)?;
                if copied {
                    copy_whole(&self.base.out, &copy.out)?;
                }
            }
        }
        worker.signal("CONT")?;
        let status = wait_for(PATIENCE_S, || worker.ended())?.context("it does not end")?;
        ensure!(copy.has_said("worker", &format!("error[{code}]")), "it did not say {code}, and ended with {status}");
        ensure!(status.code() == Some(3), "it ended with {status}");
        match deed {
            Deed::Forbid(folder) => rights(&copy.out.join(folder), 0o755)?,
            Deed::Replace { copied } => {
                let left = std::fs::read_dir(&copy.out)?.count();
                ensure!(copied || left == 0, "{left} files were left in a folder that is another's");
                if copied {
                    // What stood there in its place is whole as well.
                    self.is_mended(&copy)?;
                } else {
                    std::fs::remove_dir_all(&copy.out)?;
                }
                std::fs::rename(&away, &copy.out)?;
            }
        }
        self.is_mended(&copy)
    }

    fn input(&self) -> Result<()> {
        let copy = self.copy("input")?;
        rights(&self.rig.inputs[1], 0o000)?;
        let refused = Self::is_refused(&copy, "E-INPUT-OPEN", "Permission denied");
        rights(&self.rig.inputs[1], 0o644)?;
        refused?;
        self.is_mended(&copy)
    }

    /// In a folder of somebody else, behind a link that leads nowhere, and where a file is.
    fn nowhere(&self) -> Result<()> {
        let locked = self.rig.dir.join("locked");
        std::fs::create_dir(&locked)?;
        rights(&locked, 0o555)?;
        Self::is_refused(&self.rig.pipeline("locked/out")?, "E-IO", "cannot create")?;
        symlink(self.rig.dir.join("not-there/out"), self.rig.dir.join("dangling"))?;
        Self::is_refused(&self.rig.pipeline("dangling")?, "E-IO", "cannot create")?;
        std::fs::write(self.rig.dir.join("file"), "")?;
        Self::is_refused(&self.rig.pipeline("file")?, "E-IO", "file")
    }

    fn read_only(&self) -> Result<()> {
        let pipeline = self.rig.pipeline("read-only")?;
        let small = Small::mount(&pipeline.out, 64)?;
        copy_whole(&self.base.out, &pipeline.out)?;
        small.may_be_written(false)?;
        let refused = Self::is_refused(&pipeline, "E-IO", "Read-only file system");
        small.may_be_written(true)?;
        refused?;
        pipeline.run_to_the_end().context("once it was mended")?;
        pipeline.audit()?;
        self.rig.same(&self.wanted, &pipeline)
    }

    /// An output folder may be a link. A link where a file of ours is to be written leads nobody to write over what it points at.
    fn links(&self) -> Result<()> {
        let copy = self.copy("linked")?;
        let victim = self.rig.dir.join("victim");
        std::fs::write(&victim, "mine")?;
        rights(&victim, 0o666)?;
        for planted in [".windrow/.files.json.tmp", ".windrow/.last.json.tmp", "pages/.part-00000999-000.zstd.parquet.tmp"] {
            symlink(&victim, copy.out.join(planted))?;
        }
        for epoch in 1..100 {
            symlink(&victim, copy.out.join(format!(".windrow/snapshots/.model-{epoch:08}.bin.tmp")))?;
        }
        let link = self.rig.pipeline("link")?;
        symlink(&copy.out, &link.out)?;
        link.run_to_the_end()?;
        link.audit()?;
        self.rig.same(&self.wanted, &link)?;
        ensure!(std::fs::read_to_string(&victim)? == "mine", "a link led to a file that is not ours");
        std::fs::remove_file(&link.out)?;
        copy.remove()
    }
}

/// Copies a folder with its owners and rights.
fn copy_whole(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    stdout(std::process::Command::new("cp").arg("--archive").arg(from.join(".")).arg(to)).map(drop)
}
