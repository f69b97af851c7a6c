//! What the footer of a Parquet file says: which of its columns are read, how, and where its rows lie.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, ConvertedType, LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataReader, ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::text::{self, Cell};
use super::{ENCRYPTED, MAGICS, damaged, open};
use crate::error::{Error, ErrorKind, Result};
use crate::source::columns::ColumnMap;

/// What is read of a file.
pub(super) struct Plan {
    pub(super) metadata: ArrowReaderMetadata,
    /// The columns: how they stand in the object of a row (`"url":`), and which one of the file's it is.
    columns: Vec<(Vec<u8>, usize)>,
    pub(super) n_rows: u64,
}

impl Plan {
    /// Our columns and those that are carried along, as `columns` calls them.
    pub(super) fn of(file: &File, name: &str, columns: &ColumnMap) -> Result<Self> {
        let metadata = load(file, name)?;
        let (fields, kept) = columns.find(&names(&metadata), name)?;
        let ours = (0..fields.len()).filter_map(|column| Some((columns.name(column), fields[column]?)));
        let kept = columns.kept().iter().map(|kept| kept.column.as_str()).zip(kept);
        let mut wanted: Vec<(&str, u32)> = ours.chain(kept).collect();
        // Two of ours may be one of theirs.
        wanted.sort_unstable();
        wanted.dedup();
        let wanted = wanted.into_iter().map(|(key, field)| (key.to_owned(), field as usize)).collect();
        Self::new(file, name, metadata, wanted)
    }

    /// All columns that can be read, under their own names.
    pub(super) fn of_all(file: &File, name: &str) -> Result<Self> {
        let metadata = load(file, name)?;
        let fields = metadata.schema().fields().iter().enumerate();
        let can_be_read = fields.filter(|(_, field)| text::can_be_read(field.data_type()));
        let wanted = can_be_read.map(|(at, field)| (field.name().trim().to_owned(), at)).collect();
        Self::new(file, name, metadata, wanted)
    }

    fn new(file: &File, name: &str, metadata: ArrowReaderMetadata, wanted: Vec<(String, usize)>) -> Result<Self> {
        for (_, at) in &wanted {
            let field = metadata.schema().field(*at);
            if !text::can_be_read(field.data_type()) {
                return Err(nested(name, field));
            }
        }
        let key = |name: &str| {
            let mut key = Vec::new();
            text::push_string(name.as_bytes(), &mut key);
            key.push(b':');
            key
        };
        let columns: Vec<(Vec<u8>, usize)> = wanted.into_iter().map(|(name, at)| (key(&name), at)).collect();
        let n_rows = check_groups(file, name, &metadata)?;
        let plan = Self { metadata, columns, n_rows };
        plan.check_codecs(name)?;
        Ok(plan)
    }

    /// How many rows a file has.
    pub(super) fn n_rows_of(file: &File, name: &str) -> Result<u64> {
        check_groups(file, name, &load(file, name)?)
    }

    pub(super) fn projection(&self) -> ProjectionMask {
        ProjectionMask::roots(self.metadata.parquet_schema(), self.columns.iter().map(|(_, at)| *at))
    }

    fn groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }

    pub(super) fn n_groups(&self) -> usize {
        self.groups().len()
    }

    /// The row group that holds a row, and its first row; of the end, the place behind all of them.
    pub(super) fn group_of(&self, row: u64) -> (usize, u64) {
        let mut first = 0;
        for (at, group) in self.groups().iter().enumerate() {
            if row < first + rows(group) {
                return (at, first);
            }
            first += rows(group);
        }
        (self.n_groups(), first)
    }

    /// Bytes of the file that the rows from `from` to `to` take, of the columns that are read: of each row group a share.
    pub(super) fn packed_bytes(&self, from: u64, to: u64) -> u64 {
        let (mut first, mut sum) = (0, 0);
        for group in self.groups() {
            let next = first + rows(group);
            let shared = to.min(next).saturating_sub(from.max(first));
            if shared > 0 {
                let packed: u64 = self.chunks(group).map(|chunk| u64::try_from(chunk.compressed_size()).unwrap_or(0)).sum();
                let share = u128::from(packed) * u128::from(shared) / u128::from(rows(group));
                sum += u64::try_from(share).unwrap_or(u64::MAX);
            }
            first = next;
        }
        sum
    }

    /// The chunks of a row group that are read.
    fn chunks<'a>(&'a self, group: &'a RowGroupMetaData) -> impl Iterator<Item = &'a ColumnChunkMetaData> + 'a {
        let schema = self.metadata.parquet_schema();
        let is_read = move |leaf: usize| self.columns.iter().any(|(_, at)| *at == schema.get_column_root_idx(leaf));
        group.columns().iter().enumerate().filter(move |(leaf, _)| is_read(*leaf)).map(|(_, chunk)| chunk)
    }

    fn check_codecs(&self, name: &str) -> Result<()> {
        let codecs = self.groups().iter().flat_map(|group| self.chunks(group)).map(ColumnChunkMetaData::compression);
        let mut unknown = codecs.filter(|codec| matches!(codec, Compression::BROTLI(_) | Compression::LZO));
        unknown.next().map_or(Ok(()), |codec| {
            let message = format!("{name} is packed with {codec}, which is not read");
            Err(Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", message)
                .hint("write it anew with zstd, snappy, gzip, lz4 or nothing"))
        })
    }

    /// What writes the cells of a batch.
    pub(super) fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Vec<(&'a [u8], Cell<'a>)> {
        // A batch has the columns that are read, in the order of the file.
        let mut order: Vec<usize> = self.columns.iter().map(|(_, at)| *at).collect();
        order.sort_unstable();
        order.dedup();
        let array = |at: usize| order.binary_search(&at).ok().map(|place| batch.column(place).as_ref());
        let cells = self.columns.iter().filter_map(|(key, at)| Some((key.as_slice(), text::cell(array(*at)?)?)));
        cells.collect()
    }
}

/// What the columns of a file are called.
pub(in crate::source) fn names_of(path: &Path) -> Result<Vec<String>> {
    let name = path.display().to_string();
    Ok(names(&load(&open(path, &name)?, &name)?))
}

fn names(metadata: &ArrowReaderMetadata) -> Vec<String> {
    metadata.schema().fields().iter().map(|field| field.name().trim().to_owned()).collect()
}

fn rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

/// Reads the footer. Texts are taken as bytes: whether they are UTF-8 is asked row by row.
fn load(file: &File, name: &str) -> Result<ArrowReaderMetadata> {
    check_ends(file, name)?;
    let load = || -> std::result::Result<ArrowReaderMetadata, ParquetError> {
        let nothing_more = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let first = ParquetMetaDataReader::new().parse_and_finish(file)?;
        let untyped = without_texts(first.file_metadata().schema_descr())?;
        let options = nothing_more.with_parquet_schema(untyped);
        let found = ArrowReaderMetadata::load(file, options.clone())?;
        let roots = found.parquet_schema().root_schema().get_fields();
        let fields = found.schema().fields().iter().zip(roots).map(|(field, root)| as_read(field, root));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options.with_schema(schema))
    };
    let met = |_| Err(ParquetError::General("the decoder met what it does not expect".to_owned()));
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(met)
        .map_err(|error| damaged(name, &format!("its footer cannot be read: {error}")))
}

/// Whether the file ends as it should.
fn check_ends(file: &File, name: &str) -> Result<()> {
    let len = file.metadata().map_or(0, |about| about.len());
    let mut end = [0; 4];
    if len < 12 || file.read_exact_at(&mut end, len - 4).is_err() || !MAGICS.contains(&&end[..]) {
        return Err(damaged(name, &"it has no footer: it was cut short, or is still being written"));
    }
    if end == ENCRYPTED {
        let message = format!("{name} is encrypted");
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", message).hint("write it anew without encryption"));
    }
    Ok(())
}

/// Checks that row groups say what can be, and counts their rows.
fn check_groups(file: &File, name: &str, metadata: &ArrowReaderMetadata) -> Result<u64> {
    let len = file.metadata().map_or(0, |about| about.len());
    let (mut n_rows, mut packed) = (0_u64, 0_u64);
    for group in metadata.metadata().row_groups() {
        let chunks = group.columns().iter().map(|chunk| u64::try_from(chunk.compressed_size()).ok());
        let sum = chunks.sum::<Option<u64>>().and_then(|chunks| packed.checked_add(chunks));
        let rows = u64::try_from(group.num_rows()).ok().and_then(|rows| n_rows.checked_add(rows));
        let (Some(sum), Some(rows)) = (sum.filter(|sum| *sum <= len), rows.filter(|rows| *rows < 1 << 48)) else {
            return Err(damaged(name, &"its row groups are larger than itself"));
        };
        (packed, n_rows) = (sum, rows);
    }
    Ok(n_rows)
}

/// The same schema with texts as bytes.
fn without_texts(schema: &SchemaDescriptor) -> std::result::Result<Arc<SchemaDescriptor>, ParquetError> {
    let root = schema.root_schema();
    let fields = root.get_fields().iter().map(as_bytes).collect::<std::result::Result<Vec<_>, _>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root))))
}

fn as_bytes(of: &TypePtr) -> std::result::Result<TypePtr, ParquetError> {
    let info = of.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if !of.is_primitive() {
        let fields = of.get_fields().iter().map(as_bytes).collect::<std::result::Result<Vec<_>, _>>()?;
        let group = Type::group_type_builder(of.name())
            .with_repetition(info.repetition())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields)
            .with_id(id);
        return group.build().map(Arc::new);
    }
    let is_number = info.converted_type() == ConvertedType::DECIMAL
        || matches!(info.logical_type_ref(), Some(LogicalType::Decimal { .. } | LogicalType::Unknown));
    if of.get_physical_type() != Physical::BYTE_ARRAY || is_number {
        return Ok(Arc::clone(of));
    }
    let plain = Type::primitive_type_builder(of.name(), Physical::BYTE_ARRAY).with_repetition(info.repetition()).with_id(id);
    plain.build().map(Arc::new)
}

/// How a column is read: bytes where they lie in their page, and not as a dictionary; times of 96 bits in a unit that holds every year.
fn as_read(field: &Field, root: &Type) -> Field {
    let is_wide_time = root.is_primitive() && root.get_physical_type() == Physical::INT96;
    let data_type = if is_wide_time { DataType::Timestamp(TimeUnit::Microsecond, None) } else { type_read(field.data_type()) };
    field.clone().with_data_type(data_type)
}

fn type_read(data_type: &DataType) -> DataType {
    let of_item = |item: &Arc<Field>| Arc::new(item.as_ref().clone().with_data_type(type_read(item.data_type())));
    match data_type {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => DataType::BinaryView,
        DataType::Dictionary(_, value) => type_read(value),
        DataType::List(item) => DataType::List(of_item(item)),
        DataType::LargeList(item) => DataType::LargeList(of_item(item)),
        other => other.clone(),
    }
}

fn nested(name: &str, field: &Field) -> Error {
    let column: String = field.name().chars().filter(|c| !c.is_control()).take(60).collect();
    let message = format!(
        "the column `{column}` of {name} holds {}: only texts, numbers, times and lists of them are read",
        kind(field.data_type())
    );
    Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", message)
        .hint("write what is in it as columns of their own, or name another column with --columns or --keep")
}

/// What people call a type.
fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "objects (a struct)".to_owned(),
        DataType::Map(..) => "maps".to_owned(),
        other if other.is_nested() => "lists in lists, or of objects".to_owned(),
        other => format!("values of the type {other}"),
    }
}
