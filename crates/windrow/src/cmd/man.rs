//! `windrow man`: manual pages, made from the same words as the help.

use std::path::PathBuf;

use clap_mangen::Man;
use windrow_engine::error::{Error, ErrorKind};

use super::{App, Done, Exit};
use crate::args;

/// Print a manual page, or write all of them
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow man | man -l -              read the overview
  windrow man run | man -l -          read about one verb
  windrow man --dir share/man/man1    write every page
")]
pub(crate) struct Args {
    /// The verb; none for the overview
    verb: Option<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let mut command = args::command();
    command.build();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)).map_err(|error| {
            Error::new(ErrorKind::Environment, "E-WRITE", format!("cannot write manual pages to {}", dir.display()))
                .cause(error)
        })?;
        app.term.say(&format!("manual pages written to {}", dir.display()));
        return Ok(Exit::Fine);
    }
    let page = match &args.verb {
        None => command,
        Some(verb) => command.find_subcommand(verb).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "E-USAGE", format!("there is no verb `{verb}`"))
                .hint("`windrow --help` lists the verbs")
        })?,
    };
    let mut roff = Vec::new();
    Man::new(page).render(&mut roff)?;
    app.term.raw(&roff)?;
    Ok(Exit::Fine)
}
