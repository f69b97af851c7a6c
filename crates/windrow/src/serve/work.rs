//! Work on files, beside the thread that answers: at most two at a time and behind it, so that no number of clients takes the machine away from the run.

use std::sync::Arc;

use axum::http::StatusCode;
use windrow_engine::error::{Error, ErrorKind};

use super::Shared;
use super::table::{Refused, refusal};

/// Pieces of work at a time.
pub(super) const AT_ONCE: usize = 2;
/// How much they give way to the run, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Does some work; what goes wrong is the answer.
pub(super) async fn off_thread<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Refused> {
    run(shared, work).await.map_err(|error| failed(&error))
}

/// Does some work.
pub(super) async fn run<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |_: &dyn std::error::Error| Error::new(ErrorKind::Internal, "E-INTERNAL", "the work of the server broke off");
    let place = Arc::clone(&shared.work).acquire_owned().await.map_err(|error| ended(&error))?;
    let at = Arc::clone(shared);
    let work = move || {
        // Work goes on when the client hangs up: its place is taken until it is done.
        let _place = place;
        work(&at)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| ended(&error))?
}

/// Gives this thread less of the machine than those of the run.
pub(super) fn yield_to_the_run() {
    // Elsewhere it would be the whole process. Where it is not granted, the work is done all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// An error of the engine as an answer.
fn failed(error: &Error) -> Refused {
    let status = match error.code {
        "E-NO-PAGE" | "E-EXPORT-NOTHING" | "E-STATE-NONE" => StatusCode::NOT_FOUND,
        _ if error.kind == ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, error.code, &error.message, error.hint.as_deref().unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::serve::{Door, Follower, LISTEN};

    #[test]
    fn work_that_nobody_waits_for_keeps_its_place() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let door = Door::new(LISTEN, &[], String::new());
            let shared = Arc::new(Shared::new(&Follower::new(Path::new("none"), None), (Vec::new(), None), door));
            let ((begun, begins), (end, ends)) = (oneshot::channel(), mpsc::channel::<()>());
            let work = move |_: &Shared| {
                let _ = begun.send(());
                let _ = ends.recv();
                Ok(())
            };
            let at = Arc::clone(&shared);
            let client = tokio::spawn(async move { run(&at, work).await });
            begins.await.unwrap();
            client.abort();
            assert!(client.await.is_err());
            assert_eq!(shared.work.available_permits(), AT_ONCE - 1);
            drop(end);
            assert!(shared.work.acquire_many(AT_ONCE as u32).await.is_ok());
        });
    }
}
