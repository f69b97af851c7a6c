//! Rows out of Arrow columns, of whatever types a table has them in: text is looked at where it lies, the rest is written as text.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BinaryViewArray, LargeBinaryArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use pyo3::PyResult;
use windrow_core::kept::{Kept, KeptSpan};
use windrow_core::record::{COLUMNS, RecordId, Row, TextColumn};

use crate::error::invalid;

/// Bytes of text that one call may bring: Arrow counts them in 31 bits.
const MOST_BYTES: usize = 1 << 30;

/// One column. Its text need not be UTF-8: that is for cleaning to say.
enum Column {
    /// The table does not have it, or has nothing in it.
    Empty,
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    View(BinaryViewArray),
    /// Distinct values, and for each row which of them, if any.
    Dictionary(Vec<Option<usize>>, Box<Self>),
    /// Written as text here.
    Made(TextColumn),
}

impl Column {
    fn get(&self, row: usize) -> &[u8] {
        match self {
            Self::Empty => b"",
            Self::Binary(array) if array.is_valid(row) => array.value(row),
            Self::LargeBinary(array) if array.is_valid(row) => array.value(row),
            Self::View(array) if array.is_valid(row) => array.value(row),
            Self::Binary(_) | Self::LargeBinary(_) | Self::View(_) => b"",
            Self::Dictionary(keys, values) => keys[row].map_or(b"", |key| values.get(key)),
            Self::Made(column) => column.get(row).as_bytes(),
        }
    }

    fn of(name: &str, array: &ArrayRef) -> PyResult<Self> {
        let column = match array.data_type() {
            DataType::Null => Self::Empty,
            DataType::Utf8 => Self::Binary(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::LargeBinary(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::View(array.as_string_view().clone().to_binary_view()),
            DataType::Binary => Self::Binary(array.as_binary::<i32>().clone()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary::<i64>().clone()),
            DataType::BinaryView => Self::View(array.as_binary_view().clone()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let normalized =
                    if dictionary.values().is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
                let keys = normalized.into_iter().enumerate().map(|(row, key)| array.is_valid(row).then_some(key));
                Self::Dictionary(keys.collect(), Box::new(Self::of(name, dictionary.values())?))
            }
            _ => Self::Made(written(array).ok_or_else(|| {
                let found = array.data_type();
                invalid("E-INPUT-TYPE", format_args!("the column `{name}` has the type {found}"), "cast it to text")
            })?),
        };
        Ok(column)
    }
}

/// Numbers and times as text; none of other types.
fn written(array: &ArrayRef) -> Option<TextColumn> {
    let column = match array.data_type() {
        DataType::Int8 => texts::<Int8Type>(array, |n| Some(n.to_string())),
        DataType::Int16 => texts::<Int16Type>(array, |n| Some(n.to_string())),
        DataType::Int32 => texts::<Int32Type>(array, |n| Some(n.to_string())),
        DataType::Int64 => texts::<Int64Type>(array, |n| Some(n.to_string())),
        DataType::UInt8 => texts::<UInt8Type>(array, |n| Some(n.to_string())),
        DataType::UInt16 => texts::<UInt16Type>(array, |n| Some(n.to_string())),
        DataType::UInt32 => texts::<UInt32Type>(array, |n| Some(n.to_string())),
        DataType::UInt64 => texts::<UInt64Type>(array, |n| Some(n.to_string())),
        // Whole numbers with gaps are floats in pandas: NaN is its gap, and `7.0` is written `7`.
        DataType::Float32 => texts::<Float32Type>(array, |n| (!n.is_nan()).then(|| n.to_string())),
        DataType::Float64 => texts::<Float64Type>(array, |n| (!n.is_nan()).then(|| n.to_string())),
        DataType::Date32 => texts::<Date32Type>(array, |days| Some(time_text(days.into(), 86_400_000_000))),
        DataType::Date64 => texts::<Date64Type>(array, |millis| Some(time_text(millis, 1_000))),
        DataType::Timestamp(TimeUnit::Second, _) => {
            texts::<TimestampSecondType>(array, |time| Some(time_text(time, 1_000_000)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            texts::<TimestampMillisecondType>(array, |time| Some(time_text(time, 1_000)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => texts::<TimestampMicrosecondType>(array, |t| Some(time_text(t, 1))),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            texts::<TimestampNanosecondType>(array, |time| Some(time_text(time.div_euclid(1_000), 1)))
        }
        _ => return None,
    };
    Some(column)
}

fn texts<T: ArrowPrimitiveType>(array: &ArrayRef, write: impl Fn(T::Native) -> Option<String>) -> TextColumn {
    let mut column = TextColumn::default();
    for value in array.as_primitive::<T>() {
        column.push(value.and_then(&write).as_deref().unwrap_or_default());
    }
    column
}

/// A time in units of so many microseconds, UTC. One that no calendar has stays a number, which cleaning rejects.
fn time_text(time: i64, unit: i64) -> String {
    let time_of = |micros| jiff::Timestamp::from_microsecond(micros).ok();
    time.checked_mul(unit).and_then(time_of).map_or_else(|| time.to_string(), |time| time.to_string())
}

/// The rows of a batch.
pub(crate) struct Rows {
    origins: Vec<RecordId>,
    columns: [Column; COLUMNS.len()],
    /// The records' original bytes, where the table has them.
    raw: Option<Column>,
    /// Columns that are carried along: their bytes, and for each row where its values lie.
    made: Vec<u8>,
    spans: Vec<KeptSpan>,
    n_kept: usize,
    /// The number of each row as bytes, one after the other: what stands for the bytes of a row that never had any.
    numbers: Vec<u8>,
    /// The number of the first.
    first: u64,
}

/// Bytes of a row's number.
const NUMBER: usize = size_of::<u64>();

impl Rows {
    fn new(batch: &RecordBatch, keep: &[String], first: u64) -> PyResult<Self> {
        let find = |name: &str| batch.column_by_name(name);
        let column = |name: &str| find(name).map_or(Ok(Column::Empty), |array| Column::of(name, array));
        if COLUMNS[2..].iter().all(|name| find(name).is_none()) {
            let found: Vec<_> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
            let message = format!("none of url, title, keywords and description is among the columns ({})", found.join(", "));
            return Err(invalid("E-INPUT-COLUMNS", message, "rename the columns of the table"));
        }
        let mut columns = [const { Column::Empty }; COLUMNS.len()];
        for (place, name) in columns.iter_mut().zip(COLUMNS) {
            *place = column(name)?;
        }
        let kept = keep.iter().map(|name| {
            let missing = || {
                invalid("E-INPUT-COLUMNS", format_args!("there is no column `{name}` to carry along"), "leave it out of `keep`")
            };
            Column::of(name, find(name).ok_or_else(missing)?)
        });
        let kept = kept.collect::<PyResult<Vec<_>>>()?;
        let raw = find("raw").map(|array| Column::of("raw", array)).transpose()?;
        let n_rows = batch.num_rows();
        let all = || columns.iter().chain(&kept).chain(&raw);
        let bytes: usize = all().map(|column| (0..n_rows).map(|row| column.get(row).len()).sum::<usize>()).sum();
        if bytes > MOST_BYTES {
            let message = format!("a batch with {bytes} bytes of text is too large");
            return Err(invalid("E-INPUT-TYPE", message, "give at most 1 GiB of text at a time: slice the table"));
        }
        let (mut made, mut spans) = (Vec::new(), Vec::new());
        for row in 0..n_rows {
            for column in &kept {
                let start = made.len() as u32;
                made.extend_from_slice(column.get(row));
                spans.push(KeptSpan { start, end: made.len() as u32, is_made: true });
            }
        }
        let numbers =
            if raw.is_none() { (first..first + n_rows as u64).flat_map(u64::to_le_bytes).collect() } else { Vec::new() };
        Ok(Self { origins: origins(batch)?, columns, raw, made, spans, n_kept: kept.len(), numbers, first })
    }

    fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.origins.len()).map(|row| Row {
            origin: self.origins[row],
            raw: match &self.raw {
                Some(raw) => raw.get(row),
                None => &self.numbers[row * NUMBER..][..NUMBER],
            },
            columns: std::array::from_fn(|column| self.columns[column].get(row)),
            kept: Kept { text: b"", made: &self.made, spans: &self.spans[row * self.n_kept..][..self.n_kept] },
        })
    }

    /// The columns of a row as a line of CSV.
    fn line(&self, row: usize) -> Vec<u8> {
        let mut line = Vec::new();
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                line.push(b',');
            }
            push_field(&mut line, column.get(row));
        }
        line
    }
}

/// The rows of a table, which comes in batches.
pub(crate) struct Table(Vec<Rows>);

impl Table {
    pub(crate) fn new(batches: &[RecordBatch], keep: &[String]) -> PyResult<Self> {
        let mut first = 0;
        let rows = batches.iter().map(|batch| {
            let rows = Rows::new(batch, keep, first);
            first += batch.num_rows() as u64;
            rows
        });
        rows.collect::<PyResult<_>>().map(Self)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().flat_map(Rows::iter)
    }

    /// The original bytes of a reject, given what its row had for them: as the table has them, else its columns as a line of CSV.
    pub(crate) fn raw(&self, given: Vec<u8>) -> Vec<u8> {
        if self.0.iter().any(|rows| rows.raw.is_some()) {
            return given;
        }
        let number = given.try_into().map(u64::from_le_bytes).expect("the number that `iter` gave");
        let batch = self.0.partition_point(|rows| rows.first <= number) - 1;
        let rows = &self.0[batch];
        rows.line(usize::try_from(number - rows.first).expect("rows in memory"))
    }
}

/// A field of CSV.
fn push_field(line: &mut Vec<u8>, value: &[u8]) {
    if !value.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        return line.extend_from_slice(value);
    }
    line.push(b'"');
    for &byte in value {
        line.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    line.push(b'"');
}

/// Where each row came from: the columns `source` and `offset`.
fn origins(batch: &RecordBatch) -> PyResult<Vec<RecordId>> {
    let hint = "give `source` (int32) and `offset` (int64), both from 0 up and together different for each row";
    let whole = |name: &str| -> PyResult<Vec<u64>> {
        let wrong = |why: &str| invalid("E-INPUT-COLUMNS", format_args!("the column `{name}` {why}"), hint);
        let array = batch.column_by_name(name).ok_or_else(|| wrong("is missing"))?;
        let numbers: Vec<Option<i64>> = match array.data_type() {
            DataType::Int32 => array.as_primitive::<Int32Type>().iter().map(|n| n.map(i64::from)).collect(),
            DataType::Int64 => array.as_primitive::<Int64Type>().iter().collect(),
            other => return Err(wrong(&format!("has the type {other}"))),
        };
        let numbers = numbers.into_iter().map(|number| number.and_then(|number| u64::try_from(number).ok()));
        numbers.collect::<Option<_>>().ok_or_else(|| wrong("has a null or a number below 0"))
    };
    let too_large = |_| invalid("E-INPUT-COLUMNS", "the column `source` has a number above 2147483647", hint);
    let sources = whole("source")?.into_iter().map(|source| i32::try_from(source).map(i32::cast_unsigned));
    let sources = sources.collect::<Result<Vec<u32>, _>>().map_err(too_large)?;
    Ok(sources.into_iter().zip(whole("offset")?).map(|(source, offset)| RecordId { source, offset }).collect())
}

/// Record ids as text.
pub(crate) fn record_ids<'a>(origins: impl Iterator<Item = &'a RecordId>) -> TextColumn {
    let mut column = TextColumn::default();
    for origin in origins {
        write!(column.values, "{origin}").expect("a string takes everything");
        column.push("");
    }
    column
}
