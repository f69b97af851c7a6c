//! Python for the suites: one virtual environment a list of requirements, under the target folder, made when first needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{alone, program, root, run, say, stdout, target};

/// What the readers check needs: the three readers a Parquet file of ours must please.
pub(crate) const READERS: &str = "e2e/readers.txt";
/// Kafka's client, as other people's producers and consumers use it.
pub(crate) const CLIENTS: &str = "e2e/clients.txt";
/// The Spark job that the benchmark of Kafka has beside it.
pub(crate) const SPARK: &str = "e2e/spark.txt";
/// What the quality benchmark compares with.
pub(crate) const YARDSTICKS: &str = "e2e/yardsticks.txt";

/// What builds the wheel.
pub(crate) const WHEEL: &str = "e2e/wheel.txt";
/// What it stands beside: the newest Spark, and the oldest with the oldest Python.
pub(crate) const NEW_SPARK: &str = "e2e/wheel-spark-4.txt";
pub(crate) const OLD_SPARK: &str = "e2e/wheel-spark-3.txt";

/// What makes environments if nothing is said.
const USUAL: &str = "python3";

/// The interpreter of the environment that holds `requirements`.
pub(crate) fn python(requirements: &str) -> Result<PathBuf> {
    python_by(Path::new(USUAL), requirements)
        .context("it takes Python 3.10 or newer with venv: Debian's packages `python3` and `python3-venv`")
}

/// The same, in an environment that is made by this interpreter.
pub(crate) fn python_by(interpreter: &Path, requirements: &str) -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(root().join(requirements)).with_context(|| format!("cannot read {requirements}"))?;
    let name = requirements.trim_start_matches("e2e/").trim_end_matches(".txt");
    let by = if interpreter == Path::new(USUAL) { String::new() } else { format!("-{}", version_of(interpreter)?) };
    let dir = target().join("xtask").join(format!("python-{name}{by}"));
    let python = dir.join("bin/python");
    let _alone = alone(&format!("python-{name}{by}"))?;
    let installed = dir.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    say(format_args!("installing {requirements} into {}", dir.display()));
    let made = Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(&dir).status();
    if !made.is_ok_and(|status| status.success()) {
        bail!("{} makes no environment", interpreter.display());
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(program(&python).args(pip).arg(requirements)).context("pip could not install the packages: is the network there?")?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

/// An interpreter of this version: on PATH, or where pyenv keeps them.
pub(crate) fn interpreter(version: &str) -> Option<PathBuf> {
    let works = |path: &PathBuf| version_of(path).is_ok_and(|said| said == version);
    let kept = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let kept = kept.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let mut kept: Vec<_> = kept
        .and_then(|kept| std::fs::read_dir(kept.join("versions")).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{version}."))))
        .map(|path| path.join("bin/python"))
        .collect();
    kept.sort();
    std::iter::once(PathBuf::from(format!("python{version}"))).chain(kept).find(works)
}

/// Which Python an interpreter is that can make environments: `3.9`.
fn version_of(interpreter: &Path) -> Result<String> {
    let version = "import sys, venv; print('%d.%d' % sys.version_info[:2])";
    Ok(stdout(Command::new(interpreter).args(["-c", version]))?.trim().to_owned())
}

/// The first of the Pythons that the oldest Spark runs on, where it is here.
pub(crate) fn for_old_spark() -> Option<PathBuf> {
    ["3.9", "3.10", "3.11"].iter().find_map(|version| interpreter(version))
}

/// What is missing where there is none.
pub(crate) const NO_OLD_PYTHON: &str = "Spark 3.5.0 runs on Python 3.9, 3.10 or 3.11, and this machine has none of them with venv: install `python3.11` and \
                                        its `venv`, Debian 12's packages `python3` and `python3-venv`, or `pyenv install 3.11`";

/// A call of one of our scripts in that environment.
pub(crate) fn script(requirements: &str, file: &str) -> Result<Command> {
    let mut command = program(python(requirements)?);
    command.arg(root().join("e2e").join(file));
    // One core for us, one for what we measure beside it; and the same sums whatever the machine.
    command.env("OMP_NUM_THREADS", "2").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
