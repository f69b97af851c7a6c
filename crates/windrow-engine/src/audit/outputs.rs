//! The outputs' side: every Parquet file of pages and rejects that a reader would see.

use std::io;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow_core::featurize::main_domain;
use windrow_core::record::RecordId;

use super::Report;
use super::trace::{Content, Decided, Hasher, Pass, Trace};
use crate::checkpoint::files::{checksum, environment, names_in};
use crate::error::Result;
use crate::sink::parquet::{open_published, schema};
use crate::sink::topics::ValueShape;
use crate::sink::{Family, PublishedFile};

const FAMILIES: [Family; 2] = [Family::Pages, Family::Rejects];
/// Columns of the input in a page, in the order in which they are hashed.
const TEXTS: [&str; 5] = ["id", "url", "title", "keywords", "description"];

/// A file to read.
#[derive(Debug)]
pub(super) struct Output {
    family: Family,
    name: String,
}

impl Output {
    fn new(family: Family, name: &str) -> Self {
        Self { family, name: name.to_owned() }
    }

    /// Its name as it is told.
    fn shown(&self) -> String {
        format!("{}/{}", self.family.folder(), self.name)
    }
}

/// What was read in a pass.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) traces: Vec<Trace>,
    /// The same as topics have them, where that is something else.
    pub(super) as_sent: Option<Vec<Trace>>,
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
    for file in published.iter().filter(|file| FAMILIES.contains(&file.family)) {
        let output = Output::new(file.family, &file.name);
        // Also a hidden one: it is committed, and its owner shows it now, or, if that was killed, at the next start.
        match open_published(out, file.family, &file.name).and_then(checksum) {
            Ok(found) if found == (file.bytes, file.crc32) => {}
            Ok(_) => report.damaged_files.push(output.shown()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                report.missing_files.push(output.shown());
                continue;
            }
            Err(error) => return Err(environment("read", &out.join(output.shown()), &error)),
        }
        files.push(output);
    }
    let named: std::collections::BTreeSet<_> = published.iter().map(|file| (file.family, file.name.as_str())).collect();
    for (family, name) in in_view.iter().filter(|(family, name)| !named.contains(&(*family, name.as_str()))) {
        let output = Output::new(*family, name);
        report.unpublished_files.push(output.shown());
        files.push(output);
    }
    Ok(files)
}

/// Traces of the rows of a pass, and counts of all rows.
pub(super) fn traces(out: &Path, files: &[Output], pass: Pass, (shape, kept): (ValueShape, &[String])) -> Written {
    let mut written = Written { as_sent: (shape != ValueShape::Full).then(Vec::new), ..Written::default() };
    for file in files {
        if let Err(error) = read(out, file, (pass, kept), &mut written) {
            // What could be read before counts; the rest will be missing.
            drop(error);
            written.damaged.push(file.shown());
        }
    }
    written
}

type Unreadable = Box<dyn std::error::Error>;

fn read(
    out: &Path,
    file: &Output,
    (pass, kept): (Pass, &[String]),
    written: &mut Written,
) -> std::result::Result<(), Unreadable> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(open_published(out, file.family, &file.name)?)?;
    let wanted = schema(file.family, kept);
    for field in wanted.fields() {
        builder.schema().field_with_name(field.name())?;
    }
    let skipped = ["label", "source"];
    let columns = wanted.fields().iter().map(|field| field.name().as_str()).filter(|name| !skipped.contains(name));
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    for batch in builder.with_projection(mask).with_batch_size(4096).build()? {
        let batch = batch?;
        match file.family {
            Family::Pages => {
                written.n_pages += batch.num_rows() as u64;
                pages(&batch, (pass, kept), written).ok_or("not the columns of pages")?;
            }
            _ => {
                written.n_rejects += batch.num_rows() as u64;
                rejects(&batch, pass, written).ok_or("not the columns of rejects")?;
            }
        }
    }
    Ok(())
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

fn pages(batch: &RecordBatch, (pass, kept): (Pass, &[String]), written: &mut Written) -> Option<()> {
    let ids = text(batch, "record_id")?;
    let time = batch.column_by_name("creation_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let cluster = batch.column_by_name("cluster")?.as_primitive_opt::<Int32Type>()?;
    let slot = batch.column_by_name("slot")?.as_primitive_opt::<Int32Type>()?;
    let micro_cluster = batch.column_by_name("micro_cluster")?.as_primitive_opt::<Int64Type>()?;
    let novel = batch.column_by_name("novel")?.as_boolean_opt()?;
    let score = batch.column_by_name("score")?.as_primitive_opt::<Float64Type>()?;
    let domain = text(batch, "domain")?;
    let texts: Vec<_> = TEXTS.iter().map(|name| text(batch, name)).collect::<Option<_>>()?;
    let kept: Vec<_> = kept.iter().map(|name| text(batch, name)).collect::<Option<_>>()?;
    let (mut hasher, mut values) = (Hasher::default(), Vec::with_capacity(kept.len()));
    for row in 0..batch.num_rows() {
        let id: RecordId = ids.value(row).parse().ok()?;
        if !pass.holds(id) {
            continue;
        }
        values.clear();
        values.extend(kept.iter().map(|column| column.value(row)));
        let page = Content {
            creation_time: time.is_valid(row).then(|| time.value(row)),
            texts: std::array::from_fn(|at| texts[at].value(row)),
            domain: domain.value(row),
            kept: &values,
        };
        let decided = Decided {
            cluster: cluster.value(row).into(),
            slot: slot.value(row).into(),
            micro_cluster: micro_cluster.value(row),
            novel: novel.value(row),
            score: score.value(row),
        };
        let content = hasher.page(&page);
        // A score outside its range disagrees with everything.
        let content = if (0.0..=1.0).contains(&decided.score) { content } else { !content };
        let decision = hasher.decision(&decided);
        written.traces.push(Trace::decided(id, content, decision, slot.value(row)));
        if let Some(as_sent) = &mut written.as_sent {
            let main_domain = main_domain(page.texts[1]);
            let page = Content { domain: &main_domain, ..page };
            as_sent.push(Trace::decided(id, hasher.page_in(ValueShape::Original, &page), decision, slot.value(row)));
        }
    }
    Some(())
}

fn rejects(batch: &RecordBatch, pass: Pass, written: &mut Written) -> Option<()> {
    let (ids, reason) = (text(batch, "record_id")?, text(batch, "reason")?);
    let raw = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
    let mut hasher = Hasher::default();
    for row in 0..batch.num_rows() {
        let id: RecordId = ids.value(row).parse().ok()?;
        if !pass.holds(id) {
            continue;
        }
        let trace = Trace::new(id, hasher.reject(reason.value(row), raw.value(row)));
        written.traces.push(trace);
        written.as_sent.iter_mut().for_each(|as_sent| as_sent.push(trace));
    }
    Some(())
}
