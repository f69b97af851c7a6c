//! Builds the page of `web/` with npm, and makes the table of its files that the program carries.
//!
//! Rust is never kept from building: without Node, or when something fails, the table is empty, cargo says why, and the server
//! answers with how to build the page in.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the page is made of: nothing else makes it be built again.
const SOURCES: [&str; 7] =
    ["src", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.mjs", "size.mjs"];
/// A copy of the lock file beside the packages that were installed by it.
const INSTALLED: &str = "node_modules/.installed-by-lock.json";

fn main() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    for source in SOURCES {
        tell(format_args!("rerun-if-changed={}", web.join(source).display()));
    }
    tell(format_args!("rerun-if-changed=build.rs"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names the folder"));
    let built = build(&web, &out.join("page")).and_then(|()| table(&out.join("page")));
    let table = built.unwrap_or_else(|why| {
        tell(format_args!("warning=the page is not built in: {why}"));
        "&[]".into()
    });
    std::fs::write(out.join("page.rs"), table).expect("cargo's folder can be written to");
}

/// A word to cargo.
fn tell(word: std::fmt::Arguments<'_>) {
    // Cargo reads all of it.
    let _ = writeln!(std::io::stdout(), "cargo::{word}");
}

/// The page, built into `page`.
fn build(web: &Path, page: &Path) -> Result<(), String> {
    if Command::new("npm").arg("--version").output().is_err() {
        return Err("npm is not there; install Node.js 20.19 or newer, touch web/package.json and build again".into());
    }
    let lock = std::fs::read(web.join("package-lock.json")).map_err(|error| format!("no lock file: {error}"))?;
    if std::fs::read(web.join(INSTALLED)).ok().as_ref() != Some(&lock) {
        npm(web, page, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
        std::fs::write(web.join(INSTALLED), &lock).map_err(|error| error.to_string())?;
    }
    npm(web, page, &["run", "build"])
}

fn npm(web: &Path, page: &Path, args: &[&str]) -> Result<(), String> {
    let done = Command::new("npm").args(args).current_dir(web).env("WINDROW_PAGE_OUT", page).output();
    let done = done.map_err(|error| format!("npm does not start: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stderr, done.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
    let said = said.join(" / ");
    Err(format!("npm {} ended with {}: {said}", args.join(" "), done.status))
}

/// The files as Rust has them: name, content type, bytes.
fn table(page: &Path) -> Result<String, String> {
    let mut table = String::from("&[\n");
    for folder in ["", "assets"] {
        let entries = std::fs::read_dir(page.join(folder)).map_err(|error| error.to_string())?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for name in names {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = kind(&path).ok_or_else(|| format!("{path}: of what type?"))?;
            let bytes = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/page/{path}\"))");
            let _ = writeln!(table, "    File {{ path: {path:?}, kind: {kind:?}, bytes: {bytes} }},");
        }
    }
    table.push(']');
    Ok(table)
}

fn kind(path: &str) -> Option<&'static str> {
    Some(match path.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}
