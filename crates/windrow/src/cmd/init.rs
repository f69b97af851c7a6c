//! `windrow init`: writes a commented windrow.toml.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::settings::{FILE_NAME, starter_file};

use super::{App, Done, Exit};

/// Write a windrow.toml with every setting explained
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow init
  windrow init campaigns --input 'data/*.csv.gz'
")]
pub(crate) struct Args {
    /// Directory of the file
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What to read, filled in
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,
    /// Directory of the output, filled in
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: String,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let path = args.dir.join(FILE_NAME);
    if path.exists() && !args.force && !may_overwrite(&path, app) {
        let message = format!("{} is there already", path.display());
        return Err(Error::new(ErrorKind::Invalid, "E-EXISTS", message).hint("write over it with --force").into());
    }
    std::fs::create_dir_all(&args.dir).and_then(|()| std::fs::write(&path, starter_file(&args.input, &args.out))).map_err(
        |error| Error::new(ErrorKind::Environment, "E-WRITE", format!("cannot write {}", path.display())).cause(error),
    )?;
    let input = if args.input.is_empty() { "set source.input in it, then" } else { "next:" };
    app.term.say(&format!("{} written; {input} `windrow check`, `windrow run`", path.display()));
    Ok(Exit::Fine)
}

fn may_overwrite(path: &Path, app: &App) -> bool {
    if app.global.no_input || !std::io::stdin().is_terminal() {
        return false;
    }
    app.term.say(&format!("{} is there already. Write over it? [y/N]", path.display()));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
