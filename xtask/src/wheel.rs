//! `cargo xtask wheel`: the Python package, built into `target/wheels`; and the suite that installs it where users would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::python::{NEW_SPARK, OLD_SPARK, WHEEL, interpreter, python, python_by};
use crate::shell::{fresh_dir, program, root, run, say, stdout, target, windrow};

/// The oldest Python that the wheel is for.
pub(crate) const OLDEST: &str = "3.9";
/// The newest that the oldest Spark is for.
const NEWER: &str = "3.11";
/// The Sparks that must have run, as the check tells them.
const NEWEST: &str = "pyspark 4.2.0";
const OLD: &str = "pyspark 3.5.0";

/// Builds the wheel and says where it lies.
pub(crate) fn build() -> Result<PathBuf> {
    let wheels = target().join("wheels");
    // One wheel lies there: whoever installs `target/wheels/*.whl` gets what was just built.
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels).with_context(|| format!("cannot empty {}", wheels.display()))?;
    }
    let maturin = python(WHEEL)?.with_file_name("maturin");
    let mut build = program(maturin);
    build.args(["build", "--quiet", "--locked", "--profile", "fast", "--manifest-path"]);
    build.arg(root().join("crates/windrow-python/Cargo.toml"));
    // What runs anywhere glibc is as old as here; a release for other machines would be built in a manylinux image.
    build.args(["--compatibility", "linux", "--out"]).arg(&wheels);
    run(&mut build)?;
    let mut found = std::fs::read_dir(&wheels)?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = found.find(|path| path.extension().is_some_and(|end| end == "whl")).context("maturin left no wheel")?;
    ensure!(found.next().is_none(), "more than one file in {}", wheels.display());
    Ok(wheel)
}

/// The task.
pub(crate) fn wheel() -> Result<()> {
    say(build()?.display());
    Ok(())
}

/// The suite: the wheel as users have it, with the newest Spark and with the oldest.
pub(crate) fn check() -> Result<()> {
    let (new, old, wheel) = std::thread::scope(|scope| {
        // Spark is minutes of unpacking on one core: meanwhile the other builds.
        let new = scope.spawn(|| python(NEW_SPARK));
        let old = scope.spawn(|| python_of(OLDEST));
        let wheel = build();
        let panicked = "a thread that panicked has said why";
        (new.join().expect(panicked), old.join().expect(panicked), wheel)
    });
    let (new, wheel, windrow) = (new?, wheel?, windrow("fast", &[])?);
    check_in(&new, &wheel, &windrow, &["Python 3.", NEWEST])?;
    // What type checkers are told of the native half is what there is.
    run(program(&new).args(["-m", "mypy.stubtest", "windrow._windrow"]))?;
    match old? {
        Some(python) => check_in(&python, &wheel, &windrow, &["Python 3.9.", OLD]),
        None => {
            say(format_args!("passed over: there is no Python {OLDEST} here for {OLD_SPARK}"));
            Ok(())
        }
    }
}

/// The oldest Spark with the oldest Python and with a newer one, both of which must be there.
pub(crate) fn full() -> Result<()> {
    let (wheel, windrow) = (build()?, windrow("fast", &[])?);
    for version in [OLDEST, NEWER] {
        let python =
            python_of(version)?.with_context(|| format!("there is no Python {version} here, which the long form needs"))?;
        check_in(&python, &wheel, &windrow, &[&format!("Python {version}."), OLD])?;
    }
    Ok(())
}

/// The environment of the oldest Spark, made by this Python; none where that is not there.
pub(crate) fn python_of(version: &str) -> Result<Option<PathBuf>> {
    interpreter(version).map(|found| python_by(&found, OLD_SPARK)).transpose()
}

/// Puts the wheel into an environment, in place of another one.
pub(crate) fn install(python: &Path, wheel: &Path) -> Result<()> {
    let pip = |args: &[&str]| {
        let mut pip = program(python);
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]).args(args);
        pip
    };
    run(&mut pip(&["uninstall", "--yes", "windrow"]))?;
    // Without an index: what the wheel asks for must be among what its users have.
    run(pip(&["install", "--no-index"]).arg(wheel))
}

fn check_in(python: &Path, wheel: &Path, windrow: &Path, versions: &[&str]) -> Result<()> {
    install(python, wheel)?;
    let mut script = program(python);
    script.arg(root().join("e2e/wheel.py")).arg(windrow).arg(root()).arg(fresh_dir("wheel")?);
    script.env("PYSPARK_PYTHON", python).env("PYTHONDONTWRITEBYTECODE", "1").env("SPARK_LOCAL_IP", "127.0.0.1");
    let said = stdout(&mut script)?;
    say(said.trim());
    ensure!(versions.iter().all(|version| said.contains(version)), "it was to run with {versions:?}");
    Ok(())
}
