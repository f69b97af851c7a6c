//! Python for the suites: one virtual environment a list of requirements, under the target folder, made when first needed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{program, root, run, say, target};

/// What the readers check needs: the three readers a Parquet file of ours must please.
pub(crate) const READERS: &str = "e2e/readers.txt";
/// Kafka's client, as other people's producers and consumers use it.
pub(crate) const CLIENTS: &str = "e2e/clients.txt";
/// The Spark job that the benchmark of Kafka has beside it.
pub(crate) const SPARK: &str = "e2e/spark.txt";
/// What the quality benchmark compares with.
pub(crate) const YARDSTICKS: &str = "e2e/yardsticks.txt";

/// The interpreter of the environment that holds `requirements`.
pub(crate) fn python(requirements: &str) -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(root().join(requirements)).with_context(|| format!("cannot read {requirements}"))?;
    let name = requirements.trim_start_matches("e2e/").trim_end_matches(".txt");
    let dir = target().join("xtask").join(format!("python-{name}"));
    let interpreter = dir.join("bin/python");
    let installed = dir.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(interpreter);
    }
    say(format_args!("installing {requirements} into {}", dir.display()));
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir).status();
    if !made.is_ok_and(|status| status.success()) {
        bail!("this machine lacks Python 3.10 or newer with venv: Debian's packages `python3` and `python3-venv`");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(program(&interpreter).args(pip).arg(requirements))
        .context("pip could not install the packages: is the network there?")?;
    std::fs::write(&installed, wanted)?;
    Ok(interpreter)
}

/// A call of one of our scripts in that environment.
pub(crate) fn script(requirements: &str, file: &str) -> Result<Command> {
    let mut command = program(python(requirements)?);
    command.arg(root().join("e2e").join(file));
    // One core for us, one for what we measure beside it; and the same sums whatever the machine.
    command.env("OMP_NUM_THREADS", "2").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
