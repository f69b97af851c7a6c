//! `windrow version`.

use serde_json::json;

use super::{App, Done, Exit};
use crate::args::Format;

/// Print the version, and the formats it reads and writes
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow version
  windrow version -o json
")]
pub(crate) struct Args {}

pub(super) fn run(_args: &Args, app: &mut App) -> Done {
    let version = env!("CARGO_PKG_VERSION");
    let snapshot = windrow_core::snapshot::FORMAT;
    match app.term.format {
        Format::Json => app.term.json(&json!({
            "schema": "windrow.version/1",
            "version": version,
            "snapshot_format": snapshot,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
        }))?,
        Format::Tsv => {
            app.term.tsv(&["version", "snapshot_format"])?;
            app.term.tsv(&[version, &snapshot.to_string()])?;
        }
        Format::Text => app.term.line(&format!("windrow {version} (snapshots: format {snapshot})"))?,
    }
    Ok(Exit::Fine)
}
