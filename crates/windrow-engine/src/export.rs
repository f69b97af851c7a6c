//! Export: pages of clusters as one file that other programs open: CSV and XLSX for spreadsheets, Parquet for data tools.
//!
//! ```text
//! published Parquet, oldest first ── rows of these clusters and times ──> spread | sheet | Parquet ──> .F.N.tmp ── rename ──> F
//! ```
//!
//! What is exported is what was delivered: the decision at arrival, and beside it the cluster that the page belongs to now. Files that are not published yet are not looked at, so an export beside a
//! running pipeline ends with its last roll.

mod sheet;
mod spread;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;

use crate::checkpoint::Committed;
use crate::checkpoint::files::{aside_of_ours, environment, remove, rename, sync_dir, write_aside};
use crate::current::Current;
use crate::error::{Error, ErrorKind, Result};
use crate::lookup::{column, no_column};
use crate::published::unreadable;
use crate::sink::Family;
use crate::sink::parquet::{open_published, page_properties, schema};
use crate::source::keep::{CURRENT, OURS};

use sheet::Sheets;
use spread::Spread;
pub use spread::harmless;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose pages.
    pub clusters: Vec<ClusterId>,
    /// The first creation time; pages without one are left out where it is given.
    pub since: Option<Micros>,
    /// The creation time at which it is over.
    pub until: Option<Micros>,
    /// Text in CSV as it is, also where a spreadsheet would take it for a formula.
    pub raw: bool,
}

impl Wanted {
    fn holds(&self, time: Option<Micros>) -> bool {
        match time {
            None => self.since.is_none() && self.until.is_none(),
            Some(time) => self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Pages.
    pub pages: u64,
    /// Pages of the clusters that have no time, where times were asked for.
    pub without_time: u64,
    /// Sheets of a workbook; 0 for other files.
    pub sheets: u32,
    /// Texts that were longer than a cell of a workbook holds, and cut.
    pub cut: u64,
}

/// The names of the columns of a table, in the order in which a person reads them.
const COLUMNS: [&str; 15] = [
    "cluster",
    "label",
    "creation_time",
    "title",
    "url",
    "description",
    "keywords",
    "domain",
    "id",
    "score",
    "novel",
    "micro_cluster",
    "slot",
    "current_cluster",
    "record_id",
];

/// A page as a row of a table.
pub(crate) struct Row<'a> {
    pub(crate) cluster: i32,
    pub(crate) creation_time: Option<Micros>,
    pub(crate) score: f64,
    pub(crate) novel: bool,
    pub(crate) micro_cluster: i64,
    pub(crate) slot: i32,
    /// Where it is now, if that was asked for.
    pub(crate) current: Option<i32>,
    /// label; title, url, description, keywords, domain, id; record_id
    pub(crate) texts: [&'a str; 8],
}

/// What files can be.
const FORMS: &str = ".csv, .xlsx or .parquet";

/// Whatever takes rows.
enum Writer {
    Spread(Box<Spread>),
    Sheets(Box<Sheets>),
    Parquet(Box<ArrowWriter<File>>),
}

/// Writes the pages to the file `to`, the end of whose name says how; whole or not at all. A file that is there is replaced.
///
/// # Errors
/// `E-EXPORT-FORM`: nothing is known of files of that name. `E-EXPORT-NOTHING`: there is no such page, and nothing was written.
pub fn export(committed: &Committed, wanted: &Wanted, to: &Path) -> Result<Exported> {
    check_name(to)?;
    let hidden = aside_of_ours(to);
    let manifest = &committed.manifest;
    let mut writer = Writer::create(to, &hidden, wanted.raw, (&manifest.pipeline, manifest.keep.names()))?;
    let mut exported = Exported::default();
    let done = copy(committed, wanted, (&mut writer, &hidden), &mut exported)
        .and_then(|()| if exported.pages == 0 { Err(nothing(wanted)) } else { writer.finish(&hidden, &mut exported) });
    if let Err(error) = done {
        remove(&hidden)?;
        return Err(error);
    }
    rename(&hidden, to)?;
    sync_dir(&folder_of(to))?;
    Ok(exported)
}

pub(crate) fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn nothing(wanted: &Wanted) -> Error {
    let which = if wanted.since.is_some() || wanted.until.is_some() { " of these times" } else { "" };
    let message = format!("no published page{which} is of these clusters");
    Error::new(ErrorKind::Invalid, "E-EXPORT-NOTHING", message)
        .hint("`windrow clusters --all` lists the clusters; pages show in the Parquet at the next roll")
}

impl Writer {
    fn create(to: &Path, hidden: &Path, raw: bool, (pipeline, kept): (&str, Vec<String>)) -> Result<Self> {
        let form = to.extension().and_then(|form| form.to_str()).map(str::to_ascii_lowercase);
        let create = || File::create(hidden).map_err(|error| environment("create", hidden, &error));
        match form.as_deref() {
            Some("csv") => Spread::create(create()?, raw, &kept)
                .map(|spread| Self::Spread(Box::new(spread)))
                .map_err(|error| environment("write", hidden, &error)),
            Some("xlsx") => Ok(Self::Sheets(Box::new(Sheets::new(kept)))),
            Some("parquet") => {
                let schema = with_current(&schema(Family::Pages, &kept));
                let writer = ArrowWriter::try_new(create()?, schema, Some(page_properties(&kept, pipeline)));
                Ok(Self::Parquet(Box::new(writer.map_err(|error| environment("write", hidden, &error))?)))
            }
            _ => Err(no_such_form(to, FORMS)),
        }
    }

    fn write(&mut self, batch: &RecordBatch, hidden: &Path) -> Result<()> {
        let failed = |error: &(dyn std::error::Error + 'static)| environment("write", hidden, error);
        match self {
            Self::Parquet(writer) => writer.write(batch).map_err(|error| failed(&error)),
            Self::Spread(spread) => {
                let kept = kept_columns(batch);
                let mut rows = rows(batch)?.enumerate();
                rows.try_for_each(|(at, row)| spread.write(&row, kept.iter().map(|(_, column)| column.value(at))))
                    .map_err(|error| failed(&error))
            }
            Self::Sheets(sheets) => {
                let kept = kept_columns(batch);
                let mut rows = rows(batch)?.enumerate();
                rows.try_for_each(|(at, row)| sheets.write(&row, kept.iter().map(|(_, column)| column.value(at))))
                    .map_err(|error| failed(&error))
            }
        }
    }

    fn finish(self, hidden: &Path, exported: &mut Exported) -> Result<()> {
        let failed = |error: &(dyn std::error::Error + 'static)| environment("write", hidden, error);
        let synced = |file: &File| file.sync_all().map_err(|error| environment("fsync", hidden, &error));
        match self {
            Self::Parquet(writer) => synced(&writer.into_inner().map_err(|error| failed(&error))?),
            Self::Spread(spread) => synced(&spread.finish().map_err(|error| failed(&error))?),
            Self::Sheets(mut sheets) => {
                (exported.sheets, exported.cut) = (sheets.n_sheets(), sheets.cut);
                sheets.save(hidden).map_err(|error| failed(&error))?;
                synced(&File::open(hidden).map_err(|error| failed(&error))?)
            }
        }
    }
}

/// Hands the rows that are wanted to the writer, in the order in which they were published.
fn copy(committed: &Committed, wanted: &Wanted, (writer, hidden): (&mut Writer, &Path), exported: &mut Exported) -> Result<()> {
    let out = &committed.layout.out;
    let files = committed.manifest.all_files(&committed.layout.history())?;
    let current = Current::read(committed)?;
    for file in files.iter().filter(|file| file.family == Family::Pages) {
        let unreadable = |error: &dyn std::fmt::Display| unreadable(out, file, error);
        let opened = open_published(out, file.family, &file.name).map_err(|error| unreadable(&error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| unreadable(&error))?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["cluster"]);
        let clusters = wanted.clusters.clone();
        let predicate = ArrowPredicateFn::new(mask, move |batch| {
            let found = batch.column(0).as_primitive::<Int32Type>();
            Ok(found.iter().map(|cluster| cluster.map(|cluster| clusters.contains(&cluster.cast_unsigned()))).collect())
        });
        let reader = builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)])).build();
        for batch in reader.map_err(|error| unreadable(&error))? {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let batch = in_time(&batch, wanted, exported)?;
            exported.pages += batch.num_rows() as u64;
            writer.write(&placed(&batch, &current)?, hidden)?;
        }
    }
    Ok(())
}

fn with_current(pages: &Schema) -> SchemaRef {
    let current = Arc::new(Field::new(CURRENT, DataType::Int32, false));
    Arc::new(Schema::new(pages.fields().iter().cloned().chain([current]).collect::<Vec<_>>()))
}

/// The pages with where they are now.
fn placed(batch: &RecordBatch, current: &Current) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(current.of_pages(batch)?);
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    Ok(RecordBatch::try_new(with_current(&batch.schema()), columns).expect("one value a row"))
}

/// The rows whose time is wanted.
fn in_time(batch: &RecordBatch, wanted: &Wanted, exported: &mut Exported) -> Result<RecordBatch> {
    if wanted.since.is_none() && wanted.until.is_none() {
        return Ok(batch.clone());
    }
    let times = column(batch, "creation_time")?.as_primitive::<TimestampMicrosecondType>();
    exported.without_time += times.null_count() as u64;
    let keep: BooleanArray = times.iter().map(|time| Some(wanted.holds(time))).collect();
    Ok(arrow_select::filter::filter_record_batch(batch, &keep).expect("one flag a row"))
}

/// The columns of a batch of pages that are carried along, with their names.
pub(crate) fn kept_columns(batch: &RecordBatch) -> Vec<(String, StringArray)> {
    let schema = batch.schema();
    let is_ours = |name: &str| name == CURRENT || OURS.contains(&name);
    let others = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !is_ours(field.name()));
    others.filter_map(|(field, column)| Some((field.name().clone(), column.as_string_opt::<i32>()?.clone()))).collect()
}

/// The rows of a batch of pages.
pub(crate) fn rows(batch: &RecordBatch) -> Result<impl Iterator<Item = Row<'_>>> {
    let text =
        |name: &str| -> Result<&StringArray> { column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| no_column(name)) };
    let times = column(batch, "creation_time")?.as_primitive::<TimestampMicrosecondType>();
    let cluster = column(batch, "cluster")?.as_primitive::<Int32Type>();
    let slot = column(batch, "slot")?.as_primitive::<Int32Type>();
    let current = batch.column_by_name(CURRENT).map(AsArray::as_primitive::<Int32Type>);
    let micro_cluster = column(batch, "micro_cluster")?.as_primitive::<Int64Type>();
    let score = column(batch, "score")?.as_primitive::<Float64Type>();
    let novel = column(batch, "novel")?.as_boolean();
    let (label, title, url, description) = (text("label")?, text("title")?, text("url")?, text("description")?);
    let (keywords, domain, id, record_id) = (text("keywords")?, text("domain")?, text("id")?, text("record_id")?);
    Ok((0..batch.num_rows()).map(move |row| Row {
        cluster: cluster.value(row),
        creation_time: times.is_valid(row).then(|| times.value(row)),
        score: score.value(row),
        novel: novel.value(row),
        micro_cluster: micro_cluster.value(row),
        slot: slot.value(row),
        current: current.map(|current| current.value(row)),
        texts: [
            label.value(row),
            title.value(row),
            url.value(row),
            description.value(row),
            keywords.value(row),
            domain.value(row),
            id.value(row),
            record_id.value(row),
        ],
    }))
}

/// Refuses to write over what is there, unless that is wanted.
///
/// # Errors
/// `E-EXISTS`.
pub fn allow(to: &Path, force: bool) -> Result<()> {
    if force || fs::symlink_metadata(to).is_err() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "E-EXISTS", format!("{} is there already", to.display())).hint("--force replaces it"))
}

/// Writes a file that was asked for by name, whole or not at all.
///
/// # Errors
/// `E-EXPORT-FORM`: that is no name of a file. `E-IO`: it cannot be written.
pub fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    check_name(to)?;
    rename(&write_aside(to, bytes)?, to)?;
    sync_dir(&folder_of(to))
}

/// What is written beside a file first has a name made of its own.
pub(crate) fn check_name(to: &Path) -> Result<()> {
    match to.file_name() {
        Some(name) if name.to_str().is_some() => Ok(()),
        _ => Err(Error::new(ErrorKind::Invalid, "E-EXPORT-FORM", format!("{} is no name of a file", to.display()))
            .hint("give a file whose name is UTF-8")),
    }
}

/// The error where a name does not say what a file is to be.
pub fn no_such_form(to: &Path, forms: &str) -> Error {
    Error::new(ErrorKind::Invalid, "E-EXPORT-FORM", format!("{} is no file that can be written", to.display()))
        .hint(format!("the end of its name says what it is: {forms}"))
}
