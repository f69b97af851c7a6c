//! `cargo xtask bench serve`: what it costs a run to be looked at. Rows a second from CSV to Parquet, with nobody at the server and with
//! clients that follow its events to the end, in turns.
//!
//! The clients live in this process, on the same cores: what they take is counted against the server too.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use anyhow::{Result, bail, ensure};

use super::embedded::repeated;
use crate::served::Served;
use crate::shell::{Watch, fresh_dir, say, shared_data, windrow};

/// Least share of the rate without clients.
const BAR: f64 = 0.98;
/// Events that each client must have seen: a run of some seconds tells four a second.
const LEAST_EVENTS: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Clients that follow
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// How often links_stream is repeated
    #[arg(long, default_value_t = 10)]
    times: u32,
    /// Turns of each side; the median counts. Turns differ by some percent: few tell nothing of two
    #[arg(long, default_value_t = 25)]
    turns: usize,
    /// Build profile
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(crate) fn serve(args: &Args) -> Result<()> {
    let Some(links) = shared_data("links_stream_2012_2023.csv.gz") else {
        bail!("links_stream lies in ../shared/data, and that is not there");
    };
    let windrow = windrow(&args.profile, &[])?;
    let input = repeated(&links, args.times)?;
    // Whoever comes first reads the input from the disk.
    followed(&windrow, &input, 0)?;
    let (mut alone, mut seen, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=args.turns {
        // Who comes first has no advantage over all turns.
        let sides: [usize; 2] = if turn % 2 == 0 { [0, args.clients] } else { [args.clients, 0] };
        for clients in sides {
            let seconds = followed(&windrow, &input, clients)?;
            if clients == 0 { &mut alone } else { &mut seen }.push(seconds);
        }
        let ratio = alone[turn - 1] / seen[turn - 1];
        say(format_args!("turn {turn}: alone {:.2} s, followed {:.2} s: {ratio:.3}", alone[turn - 1], seen[turn - 1]));
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[args.turns / 2];
    say(format_args!("rate with {} clients / without: {ratio:.3}, median of {} (bar {BAR})", args.clients, args.turns));
    ensure!(ratio >= BAR, "the ratio misses its bar");
    Ok(())
}

/// Seconds of a run that is followed by so many clients.
fn followed(windrow: &Path, input: &Path, clients: usize) -> Result<f64> {
    let out = fresh_dir("bench-serve")?;
    let watch = Watch::start();
    let mut run = Command::new(windrow);
    run.args(["run", "--quiet", "--threads", "2", "--input"]).arg(input).arg("--out").arg(&out);
    let mut run = Served::start(&mut run)?;
    let clients: Vec<_> = (0..clients).map(|_| follow(&run)).collect::<Result<_>>()?;
    let status = run.child.wait()?;
    let seconds = watch.seconds();
    ensure!(status.success(), "the run ended with {status}");
    for client in clients {
        let events = client.join().map_err(|_| anyhow::anyhow!("a client broke down"))??;
        ensure!(events >= LEAST_EVENTS, "a client saw {events} events of a run of {seconds:.1} s");
    }
    Ok(seconds)
}

/// Follows the events until the server closes; gives how many answers there were. They are not looked into: that would be time of the run.
fn follow(Served { address, token, .. }: &Served) -> Result<JoinHandle<Result<usize>>> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")?;
    Ok(std::thread::spawn(move || {
        let (mut piece, mut events) = (vec![0; 1 << 20], 0);
        // A run that ends may cut its clients off in the middle of an answer.
        while let Ok(n) = stream.read(&mut piece)
            && n > 0
        {
            events += 1;
        }
        Ok(events)
    }))
}
