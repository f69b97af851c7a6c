//! Work on files, beside the thread that answers: at most two at a time, so that no number of clients takes the machine away from the run.

use std::sync::Arc;

use axum::http::StatusCode;
use windrow_engine::error::{Error, ErrorKind};

use super::Shared;
use super::table::{Refused, refusal};

/// Pieces of work at a time.
pub(super) const AT_ONCE: usize = 2;

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
    let _place = shared.work.acquire().await.map_err(|error| ended(&error))?;
    let at = Arc::clone(shared);
    tokio::task::spawn_blocking(move || work(&at)).await.map_err(|error| ended(&error))?
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
