//! `windrow serve`: what is known of an output, over HTTP, for browsers and programs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windrow_engine::clock::entropy;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::run::Control;

use super::clusters::{Place, PlaceKeys};
use super::serving::{listen, open};
use super::{App, Done, Exit};
use crate::args::SettingFlags;
use crate::serve::Follower;
use crate::signals::Watch;

/// Time between two looks at the manifest.
const LOOK: Duration = Duration::from_millis(500);
/// Characters of the shortest token that is taken from a file.
const TOKEN_MIN: usize = 16;

/// Show an output over HTTP: finished, growing, or not there yet
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow serve --out out
  windrow serve --out out --listen 0.0.0.0:8765 --host board.example --token-file /run/secrets/windrow

The one line on stdout is the URL to open; who has it may look.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8765, or the next free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Another name that the server may be called by; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// File with the token that clients must send [default: a new one at every start]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let resolved = app.settings(&args.settings.given)?;
    let place = Place::of(resolved.settings.output.clone());
    let token = match &args.token_file {
        Some(file) => token_in(file)?,
        None => entropy()?,
    };
    let listener = listen(args.listen, app)?;
    let mut follower = Follower::new(&place.out, place.state.as_deref());
    follower.look();
    if follower.is_empty() {
        app.term.say(&format!("nothing is committed in {} yet: it is shown when it comes (Ctrl-C ends)", place.out.display()));
    }
    let watch = Watch::start(&Arc::new(Control::default()))?;
    let (_server, url) = open(listener, &args.host, token, (&follower, &resolved))?;
    app.term.line(&url)?;
    app.term.flush()?;
    while !watch.wait(LOOK) {
        follower.look();
    }
    Ok(if watch.was_interrupt() { Exit::Interrupted } else { Exit::Fine })
}

fn token_in(file: &Path) -> Result<String, Error> {
    let wrong = |message: String| {
        Error::new(ErrorKind::Invalid, "E-TOKEN", message)
            .hint(format!("put at least {TOKEN_MIN} letters, digits or -_.~ into it: head -c 16 /dev/urandom | xxd -p > FILE"))
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("cannot read the token in {}: {error}", file.display())))?;
    let token = text.trim();
    let is_good = token.len() >= TOKEN_MIN && token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c));
    if is_good { Ok(token.to_owned()) } else { Err(wrong(format!("{} holds no token", file.display()))) }
}
