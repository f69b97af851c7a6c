//! The server beside a run: where it listens, what it is called, and who tells it what the run does.

use std::net::{SocketAddr, TcpListener};

use windrow_engine::clock::{SystemClock, entropy};
use windrow_engine::error::Error;
use windrow_engine::observe::Progress;
use windrow_engine::run::Job;
use windrow_engine::settings::Resolved;

use super::{App, Failure, config};
use crate::args::Format;
use crate::serve::{self, Door, Follower, Live, Server, Shared};

/// Whether a run is shown, and where.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Page")]
pub(super) struct ServeFlags {
    /// Where the page of the run is shown; port 0 takes a free one [default:
    /// 127.0.0.1:8765, or the next free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Show no page
    #[arg(long, conflicts_with = "listen")]
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
        let listener = match listen(flags.listen, app) {
            Ok(listener) => listener,
            Err(error) if flags.listen.is_none() => {
                app.term.say(&format!("note: the run is not shown: {}", error.message));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let follower = Follower::new(&job.out, job.state.as_deref());
        let (server, url) = open(listener, &[], entropy()?, (&follower, settings))?;
        // With -o json and tsv stdout is for data alone.
        if app.term.format == Format::Text {
            app.term.line(&url)?;
            app.term.flush()?;
        } else {
            app.term.say(&url);
        }
        Ok(Some(Self { live: Live::start(follower, job, clock)?, _server: server, url }))
    }

    /// Tells the page what the run has done.
    pub(super) fn update(&mut self, progress: &Progress<'_>) {
        self.live.update(progress);
    }
}

/// Takes the port; says so when it is not the usual one.
pub(super) fn listen(asked: Option<SocketAddr>, app: &App) -> Result<TcpListener, Error> {
    let (listener, is_other) = serve::listen(asked)?;
    if is_other {
        let port = listener.local_addr().map_err(|error| serve::refused(serve::LISTEN, &error))?.port();
        app.term.say(&format!("port {} is taken: {port} it is", serve::LISTEN.port()));
    }
    Ok(listener)
}

/// Begins to answer; gives the URL that opens everything.
pub(super) fn open(
    listener: TcpListener,
    hosts: &[String],
    token: String,
    (follower, settings): (&Follower, &Resolved),
) -> Result<(Server, String), Error> {
    let address = listener.local_addr().map_err(|error| serve::refused(serve::LISTEN, &error))?;
    let url = format!("http://{}/?token={token}", shown(address, hosts));
    let door = Door::new(address, hosts, token);
    Ok((Server::start(listener, Shared::new(follower, (config::objects(settings), settings.settings.route()), door))?, url))
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
