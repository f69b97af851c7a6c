//! `windrow serve`: what is known of an output, over HTTP, for browsers and programs.

use std::sync::Arc;
use std::time::Duration;

use windrow_engine::run::Control;

use super::clusters::{Place, PlaceKeys};
use super::serving::DoorFlags;
use super::{App, Done, Exit};
use crate::args::SettingFlags;
use crate::serve::Follower;
use crate::signals::Watch;

/// Time between two looks at the manifest.
const LOOK: Duration = Duration::from_millis(500);

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
    #[command(flatten)]
    door: DoorFlags,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let resolved = app.settings(&args.settings.given)?;
    let place = Place::of(resolved.settings.output.clone());
    let token = args.door.token()?;
    let listener = args.door.listen(app)?;
    let mut follower = Follower::new(&place.out, place.state.as_deref());
    follower.look();
    if follower.is_empty() {
        app.term.say(&format!("nothing is committed in {} yet: it is shown when it comes (Ctrl-C ends)", place.out.display()));
    }
    let watch = Watch::start(&Arc::new(Control::default()))?;
    let (_server, url) = args.door.open((listener, token), (&follower, &resolved))?;
    app.term.line(&url)?;
    app.term.flush()?;
    while !watch.wait(LOOK) {
        follower.look();
    }
    Ok(if watch.was_interrupt() { Exit::Interrupted } else { Exit::Fine })
}
