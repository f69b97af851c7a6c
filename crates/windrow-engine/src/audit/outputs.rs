//! The outputs' side: every Parquet file of pages and rejects that a reader would see.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow_core::record::RecordId;
use xxhash_rust::xxh3::xxh3_64;

use super::{Fields, PAGE, Pass, REJECT, Report, Trace};
use crate::checkpoint::files::{environment, names_in};
use crate::error::Result;
use crate::sink::parquet::{hidden_name, schema};
use crate::sink::{Family, PublishedFile};

const FAMILIES: [Family; 2] = [Family::Pages, Family::Rejects];
/// Columns of the input in a page, in the order in which they are hashed.
const TEXTS: [&str; 5] = ["id", "url", "title", "keywords", "description"];

/// A file to read.
#[derive(Debug)]
pub(super) struct Output {
    family: Family,
    path: PathBuf,
    shown: String,
}

/// What was read in a pass.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) traces: Vec<Trace>,
    pub(super) n_pages: u64,
    pub(super) n_rejects: u64,
    pub(super) damaged: Vec<String>,
}

/// Parquet files in view, with their family.
pub(super) fn in_view(out: &Path) -> Result<Vec<(Family, String)>> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let names = names_in(&out.join(family.folder()))?;
        let parquet = names.into_iter().filter(|name| !name.starts_with('.') && name.ends_with(".parquet"));
        found.extend(parquet.map(|name| (family, name)));
    }
    Ok(found)
}

/// The files to read: the published ones, and what else is in view. Says what is missing, damaged or unpublished.
pub(super) fn choose(
    out: &Path,
    published: &[PublishedFile],
    in_view: &[(Family, String)],
    report: &mut Report,
) -> Result<Vec<Output>> {
    let mut files = Vec::new();
    let shown = |family: Family, name: &str| format!("{}/{name}", family.folder());
    for file in published.iter().filter(|file| FAMILIES.contains(&file.family)) {
        let folder = out.join(file.family.folder());
        let shown = shown(file.family, &file.name);
        // Committed, but killed before it came into view: the next start of the pipeline shows it.
        let paths = [folder.join(&file.name), folder.join(hidden_name(&file.name))];
        let Some(path) = paths.into_iter().find(|path| path.exists()) else {
            report.missing_files.push(shown);
            continue;
        };
        if checksum(&path)? != (file.bytes, file.crc32) {
            report.damaged_files.push(shown.clone());
        }
        files.push(Output { family: file.family, path, shown });
    }
    let named: std::collections::BTreeSet<_> = published.iter().map(|file| (file.family, file.name.as_str())).collect();
    for (family, name) in in_view.iter().filter(|(family, name)| !named.contains(&(*family, name.as_str()))) {
        report.unpublished_files.push(shown(*family, name));
        files.push(Output { family: *family, path: out.join(family.folder()).join(name), shown: shown(*family, name) });
    }
    Ok(files)
}

fn checksum(path: &Path) -> Result<(u64, u32)> {
    let failed = |error: std::io::Error| environment("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = crc32fast::Hasher::new();
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    loop {
        let n = file.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            return Ok((bytes, hasher.finalize()));
        }
        bytes += n as u64;
        hasher.update(&buffer[..n]);
    }
}

/// Traces of the rows of a pass, and counts of all rows.
pub(super) fn traces(files: &[Output], pass: Pass) -> Result<Written> {
    let mut written = Written::default();
    for file in files {
        if let Err(error) = read(file, pass, &mut written) {
            // What could be read before counts; the rest will be missing.
            drop(error);
            written.damaged.push(file.shown.clone());
        }
    }
    Ok(written)
}

type Unreadable = Box<dyn std::error::Error>;

fn read(file: &Output, pass: Pass, written: &mut Written) -> std::result::Result<(), Unreadable> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?;
    let wanted = schema(file.family);
    for field in wanted.fields() {
        builder.schema().field_with_name(field.name())?;
    }
    let skipped = ["label", "domain", "source"];
    let columns = wanted.fields().iter().map(|field| field.name().as_str()).filter(|name| !skipped.contains(name));
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    for batch in builder.with_projection(mask).with_batch_size(4096).build()? {
        let batch = batch?;
        match file.family {
            Family::Pages => {
                written.n_pages += batch.num_rows() as u64;
                pages(&batch, pass, &mut written.traces).ok_or("not the columns of pages")?;
            }
            _ => {
                written.n_rejects += batch.num_rows() as u64;
                rejects(&batch, pass, &mut written.traces).ok_or("not the columns of rejects")?;
            }
        }
    }
    Ok(())
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

fn pages(batch: &RecordBatch, pass: Pass, traces: &mut Vec<Trace>) -> Option<()> {
    let ids = text(batch, "record_id")?;
    let time = batch.column_by_name("creation_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let cluster = batch.column_by_name("cluster")?.as_primitive_opt::<Int32Type>()?;
    let slot = batch.column_by_name("slot")?.as_primitive_opt::<Int32Type>()?;
    let micro_cluster = batch.column_by_name("micro_cluster")?.as_primitive_opt::<Int64Type>()?;
    let novel = batch.column_by_name("novel")?.as_boolean_opt()?;
    let score = batch.column_by_name("score")?.as_primitive_opt::<Float64Type>()?;
    let texts: Vec<_> = TEXTS.iter().map(|name| text(batch, name)).collect::<Option<_>>()?;
    let mut fields = Fields::default();
    for row in 0..batch.num_rows() {
        let id: RecordId = ids.value(row).parse().ok()?;
        if !pass.holds(id) {
            continue;
        }
        fields.start(PAGE);
        fields.push_time(time.is_valid(row).then(|| time.value(row)));
        texts.iter().for_each(|column| fields.push(column.value(row).as_bytes()));
        let content = fields.hash();
        // A score outside its range disagrees with everything.
        let content = if (0.0..=1.0).contains(&score.value(row)) { content } else { !content };
        fields.start(PAGE);
        fields.push(&cluster.value(row).to_le_bytes());
        fields.push(&slot.value(row).to_le_bytes());
        fields.push(&micro_cluster.value(row).to_le_bytes());
        fields.push(&[u8::from(novel.value(row))]);
        fields.push(&score.value(row).to_le_bytes());
        let decision = u32::try_from(xxh3_64(&fields.0) >> 32).expect("the upper half");
        traces.push(Trace { offset: id.offset, source: id.source, decision, content });
    }
    Some(())
}

fn rejects(batch: &RecordBatch, pass: Pass, traces: &mut Vec<Trace>) -> Option<()> {
    let (ids, reason) = (text(batch, "record_id")?, text(batch, "reason")?);
    let raw = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
    let mut fields = Fields::default();
    for row in 0..batch.num_rows() {
        let id: RecordId = ids.value(row).parse().ok()?;
        if !pass.holds(id) {
            continue;
        }
        fields.start(REJECT);
        fields.push(reason.value(row).as_bytes());
        fields.push(raw.value(row));
        traces.push(Trace { offset: id.offset, source: id.source, decision: 0, content: fields.hash() });
    }
    Some(())
}
