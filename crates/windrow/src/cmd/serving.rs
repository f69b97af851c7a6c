//! The server beside a run: where it listens, what it is called, and who tells it what the run does.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use windrow_engine::clock::{SystemClock, entropy};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::observe::Progress;
use windrow_engine::run::{Ended, Job};
use windrow_engine::settings::Resolved;

use super::{App, Failure, config};
use crate::args::Format;
use crate::serve::{self, Door, Follower, Live, Server, Shared};

/// Characters of the shortest token that is taken from a file.
const TOKEN_MIN: usize = 16;

/// Where a server listens, and who may come in.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct DoorFlags {
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

impl DoorFlags {
    /// The token that clients must send.
    pub(super) fn token(&self) -> Result<String, Error> {
        self.token_file.as_deref().map_or_else(entropy, token_in)
    }

    /// Takes the port; says so when it is not the usual one.
    pub(super) fn listen(&self, app: &App) -> Result<TcpListener, Error> {
        let (listener, is_other) = serve::listen(self.listen)?;
        if is_other {
            let port = listener.local_addr().map_err(|error| serve::refused(serve::LISTEN, &error))?.port();
            app.term.say(&format!("port {} is taken: {port} it is", serve::LISTEN.port()));
        }
        Ok(listener)
    }

    /// Begins to answer; gives the URL that opens everything.
    pub(super) fn open(
        &self,
        (listener, token): (TcpListener, String),
        (follower, settings): (&Follower, &Resolved),
    ) -> Result<(Server, String), Error> {
        let address = listener.local_addr().map_err(|error| serve::refused(serve::LISTEN, &error))?;
        let url = format!("http://{}/?token={token}", shown(address, &self.host));
        let door = Door::new(address, &self.host, token);
        Ok((Server::start(listener, Shared::new(follower, (config::objects(settings), settings.settings.route()), door))?, url))
    }
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

/// Whether a run is shown, and where.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Page")]
pub(super) struct ServeFlags {
    #[command(flatten)]
    door: DoorFlags,
    /// Show no page
    #[arg(long, conflicts_with_all = ["listen", "host", "token_file"])]
    no_serve: bool,
}

/// A run that is shown.
pub(super) struct Shown<'c> {
    live: Live<'c>,
    /// It answers until the run has ended.
    _server: Server,
    /// Where it is shown.
    pub(super) url: String,
}

impl<'c> Shown<'c> {
    /// Shows a run, unless it is not wanted, or nowhere asked for and no usual port is free.
    pub(super) fn start(
        flags: &ServeFlags,
        (job, settings): (&Job, &Resolved),
        clock: &'c SystemClock,
        app: &mut App,
    ) -> Result<Option<Self>, Failure> {
        if flags.no_serve {
            return Ok(None);
        }
        let token = flags.door.token()?;
        let listener = match flags.door.listen(app) {
            Ok(listener) => listener,
            Err(error) if flags.door.listen.is_none() => {
                app.term.say(&format!("note: the run is not shown: {}", error.message));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let follower = Follower::new(&job.out, job.state.as_deref());
        let (server, url) = flags.door.open((listener, token), (&follower, settings))?;
        // With -o json and tsv stdout is for data alone.
        if app.term.format == Format::Text {
            app.term.line(&url)?;
            app.term.flush()?;
        } else {
            app.term.say(&url);
        }
        Ok(Some(Self { live: Live::start(follower, (job.topic.as_ref(), job.memory_bytes), clock)?, _server: server, url }))
    }

    /// Tells the page what the run has done.
    pub(super) fn update(&mut self, progress: &Progress<'_>) {
        self.live.update(progress);
    }

    /// Tells the page, if there is one, how the run ended, and closes it.
    pub(super) fn end(shown: Option<Self>, ended: Result<Ended, &Error>) {
        if let Some(Self { live, _server, .. }) = shown {
            live.end(ended);
        }
    }
}

/// The address as a browser can open it.
fn shown(address: SocketAddr, hosts: &[String]) -> String {
    match hosts.first() {
        Some(host) if host.contains(':') => host.clone(),
        Some(host) => format!("{host}:{}", address.port()),
        None if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    }
}
