//! The page: files that the build made of `web/` and put into the program. No folder is served, so no path leads out of one.

use axum::extract::Path;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::api::nothing;
use super::table::answer;

/// A file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));
/// What a build without the page says.
const MISSING: &str = "The page is not built into this program.\n\n\
    Install Node.js 20.19 or newer with npm, then in the source of Windrow:\n\n    \
    touch web/package.json\n    cargo build --release\n\n\
    Everything that the page shows is also at /api/v1, which lists the routes.\n";

fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

pub(super) async fn index() -> Response {
    match find("index.html") {
        Some(file) => answer(StatusCode::OK, file.kind, file.bytes),
        None => answer(StatusCode::OK, "text/plain; charset=utf-8", MISSING),
    }
}

/// A file with a hash in its name: another content has another name, so browsers may keep it.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let Some(file) = find(&format!("assets/{name}")) else { return nothing().await };
    let mut given = answer(StatusCode::OK, file.kind, file.bytes);
    given.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_names_only_files_that_are_there() {
        let Some(index) = find("index.html") else { return };
        let text = std::str::from_utf8(index.bytes).expect("text");
        let named: Vec<&str> = text.split('"').filter_map(|part| part.strip_prefix('/')).collect();
        assert!(named.len() >= 3, "script, sheet and icon: {named:?}");
        assert!(named.iter().all(|path| find(path).is_some()), "{named:?}");
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="), "{text}");
    }
}
