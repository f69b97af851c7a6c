//! What the model `original` makes of some pages, stage by stage: what `e2e/original_stages.py` holds against Spark.
//!
//! ```text
//! cargo run --example original -- FILE ROWS OUT [K]…
//! ```
//!
//! FILE is a CSV, plain or `.gz`. OUT gets a line of JSON a row: its URL's main domain with what becomes of it, and its cluster for each K.
//! Standard output is one object: what was fitted, with cost and seconds for each K, of main domains in memory to clusters.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a workbench: it has a clock and prints")]

use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::time::Instant;

use serde_json::json;
use windrow_core::cluster::original::Fit;
use windrow_core::cluster::original::features::{feature, tokens};
use windrow_core::featurize::main_domain;

const FEATURES: u32 = 50;
const SEED: u64 = 1;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, rows, out, ks @ ..] = args.as_slice() else { panic!("FILE ROWS OUT [K]…") };
    let urls = urls(file, rows.parse().expect("a number of rows"));
    let ks: Vec<usize> = ks.iter().map(|k| k.parse().expect("a number of clusters")).collect();
    let mut fits = Vec::new();
    let mut told = Vec::new();
    for &k in &ks {
        let start = Instant::now();
        let fit = Fit::of(urls.iter().map(|url| main_domain(url)), FEATURES, k, SEED);
        let seconds = start.elapsed().as_secs_f64();
        told.push(json!({"k": k, "cost": fit.centres.cost, "clusters": fit.centres.centres.len(), "seconds": seconds}));
        fits.push(fit);
    }
    let fit = &fits[0];
    let mut lines = BufWriter::new(File::create(out).expect("OUT can be written"));
    for (row, url) in urls.iter().enumerate() {
        let domain = main_domain(url);
        let tokens = tokens(&domain);
        let point = fit.points.of_page[row] as usize;
        let frequencies = &fit.points.points[point].frequencies;
        let clusters: Vec<usize> = fits.iter().map(|fit| fit.centres.nearest[fit.points.of_page[row] as usize]).collect();
        let line = json!({
            "row": row,
            "url": url,
            "domain": domain,
            "features": tokens.iter().map(|token| feature(token, FEATURES)).collect::<Vec<_>>(),
            "tokens": tokens,
            "tf": frequencies,
            "tfidf": fit.scaling.weigh(frequencies),
            "scaled": fit.scaling.scale(frequencies),
            "clusters": clusters,
        });
        writeln!(lines, "{line}").expect("OUT can be written");
    }
    lines.flush().expect("OUT can be written");
    let points = fit.points.points.len();
    println!(
        "{}",
        json!({"rows": urls.len(), "points": points, "idf": fit.scaling.idf, "deviation": fit.scaling.deviation, "fits": told})
    );
}

fn urls(file: &str, most: usize) -> Vec<String> {
    let bytes = File::open(file).expect("FILE can be read");
    let reader: Box<dyn Read> =
        if file.ends_with(".gz") { Box::new(flate2::read::MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let at = reader.headers().expect("a header").iter().position(|name| name == "url").expect("a column `url`");
    let record = |record: csv::Result<csv::ByteRecord>| {
        let record = record.expect("a CSV");
        String::from_utf8_lossy(record.get(at).unwrap_or_default()).into_owned()
    };
    reader.byte_records().take(most).map(record).collect()
}
