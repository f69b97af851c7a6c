//! Values of a Parquet file as JSON: the bytes of texts as they are, whatever they are; numbers with all their digits; times as they are
//! read elsewhere, in UTC. What no calendar has is written as the number that it is, with its unit: no time, and yet all that was there.

use std::io::Write as _;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, OffsetSizeTrait};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;

/// Writes the value of a row.
pub(super) type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// Appends the object of a row; what holds nothing is left out.
pub(super) fn push_row(cells: &[(&[u8], Cell<'_>)], row: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'{');
    for (key, cell) in cells {
        let before = out.len();
        if before > start + 1 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(key);
        out.push(b' ');
        let value = out.len();
        cell(row, out);
        if out.len() == value {
            out.truncate(before);
        }
    }
    out.push(b'}');
}

/// Whether values of this type can be written.
pub(super) fn can_be_read(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => is_scalar(item.data_type()),
        other => is_scalar(other),
    }
}

fn is_scalar(data_type: &DataType) -> bool {
    use DataType as T;
    let is_other = matches!(data_type, T::Float16 | T::Duration(_) | T::Interval(_) | T::Dictionary(..) | T::RunEndEncoded(..));
    !data_type.is_nested() && !is_other
}

/// What writes the values of an array, nothing for those that are missing; none where its type cannot be read.
pub(super) fn cell(array: &dyn Array) -> Option<Cell<'_>> {
    let write = value(array)?;
    Some(Box::new(move |row, out| {
        if !array.is_null(row) {
            write(row, out);
        }
    }))
}

fn value(array: &dyn Array) -> Option<Cell<'_>> {
    use DataType as T;
    Some(match array.data_type() {
        T::Null => Box::new(|_, _| {}),
        T::Boolean => {
            let array = array.as_boolean();
            Box::new(|row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }))
        }
        T::BinaryView => {
            let array = array.as_binary_view();
            Box::new(|row, out| push_string(array.value(row), out))
        }
        T::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Box::new(|row, out| push_string(array.value(row), out))
        }
        T::Int8 => number::<Int8Type>(array),
        T::Int16 => number::<Int16Type>(array),
        T::Int32 => number::<Int32Type>(array),
        T::Int64 => number::<Int64Type>(array),
        T::UInt8 => number::<UInt8Type>(array),
        T::UInt16 => number::<UInt16Type>(array),
        T::UInt32 => number::<UInt32Type>(array),
        T::UInt64 => number::<UInt64Type>(array),
        T::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Box::new(|row, out| push_float(array.value(row), out))
        }
        T::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Box::new(|row, out| push_float(array.value(row), out))
        }
        T::Decimal32(..) => decimal::<Decimal32Type>(array),
        T::Decimal64(..) => decimal::<Decimal64Type>(array),
        T::Decimal128(..) => decimal::<Decimal128Type>(array),
        T::Decimal256(..) => decimal::<Decimal256Type>(array),
        T::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Box::new(|row, out| push_date(array.value(row), out))
        }
        T::Date64 => {
            let array = array.as_primitive::<Date64Type>();
            Box::new(|row, out| push_time(array.value(row), TimeUnit::Millisecond, out))
        }
        T::Timestamp(TimeUnit::Second, _) => instant::<TimestampSecondType>(array),
        T::Timestamp(TimeUnit::Millisecond, _) => instant::<TimestampMillisecondType>(array),
        T::Timestamp(TimeUnit::Microsecond, _) => instant::<TimestampMicrosecondType>(array),
        T::Timestamp(TimeUnit::Nanosecond, _) => instant::<TimestampNanosecondType>(array),
        T::Time32(TimeUnit::Second) => clock::<Time32SecondType>(array, 1_000_000_000),
        T::Time32(_) => clock::<Time32MillisecondType>(array, 1_000_000),
        T::Time64(TimeUnit::Microsecond) => clock::<Time64MicrosecondType>(array, 1_000),
        T::Time64(_) => clock::<Time64NanosecondType>(array, 1),
        T::List(_) => list::<i32>(array)?,
        T::LargeList(_) => list::<i64>(array)?,
        _ => return None,
    })
}

fn number<T: ArrowPrimitiveType<Native: std::fmt::Display>>(array: &dyn Array) -> Cell<'_> {
    let array = array.as_primitive::<T>();
    Box::new(|row, out| push(out, format_args!("{}", array.value(row))))
}

fn decimal<T: DecimalType>(array: &dyn Array) -> Cell<'_> {
    let array = array.as_primitive::<T>();
    Box::new(|row, out| out.extend_from_slice(array.value_as_string(row).as_bytes()))
}

fn instant<T: ArrowTimestampType>(array: &dyn Array) -> Cell<'_> {
    let array = array.as_primitive::<T>();
    Box::new(|row, out| push_time(array.value(row), T::UNIT, out))
}

fn clock<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array, nanos: i64) -> Cell<'_> {
    let array = array.as_primitive::<T>();
    Box::new(move |row, out| {
        let value: i64 = array.value(row).into();
        let (second, nano) = (value / (1_000_000_000 / nanos), value % (1_000_000_000 / nanos) * nanos);
        push(out, format_args!("\"{:02}:{:02}:{:02}.{nano:09}\"", second / 3600, second / 60 % 60, second % 60));
    })
}

/// A list of scalars as JSON's; what is missing in it is `null`.
fn list<O: OffsetSizeTrait>(array: &dyn Array) -> Option<Cell<'_>> {
    let array = array.as_list::<O>();
    let items = array.values();
    let item = cell(items.as_ref()).filter(|_| is_scalar(items.data_type()))?;
    Some(Box::new(move |row, out| {
        let ends = [array.value_offsets()[row].as_usize(), array.value_offsets()[row + 1].as_usize()];
        out.push(b'[');
        for at in ends[0]..ends[1] {
            out.extend_from_slice(if at > ends[0] { b", " } else { b"" });
            let start = out.len();
            item(at, out);
            if out.len() == start {
                out.extend_from_slice(b"null");
            }
        }
        out.push(b']');
    }))
}

/// A text in quotes. Its bytes stay as they are, but for those that JSON wants escaped.
pub(super) fn push_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => push(out, format_args!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// As Python writes them: bare words for what is no number, which are read as nothing.
fn push_float<F: Copy + Into<f64> + std::fmt::Display + std::fmt::LowerExp>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    match wide {
        _ if wide.is_nan() => out.extend_from_slice(b"NaN"),
        _ if wide.is_infinite() => out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" }),
        _ if wide != 0.0 && !(1e-5..1e17).contains(&wide.abs()) => push(out, format_args!("{value:e}")),
        _ => push(out, format_args!("{value}")),
    }
}

fn push_date(days: i32, out: &mut Vec<u8>) {
    match Timestamp::from_second(i64::from(days) * 86_400) {
        Ok(midnight) => {
            let date = jiff::tz::Offset::UTC.to_datetime(midnight).date();
            push(out, format_args!("\"{date}\""));
        }
        Err(_) => push(out, format_args!("\"{days} days since 1970\"")),
    }
}

fn push_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (time, unit) = match unit {
        TimeUnit::Second => (Timestamp::from_second(value), "seconds"),
        TimeUnit::Millisecond => (Timestamp::from_millisecond(value), "milliseconds"),
        TimeUnit::Microsecond => (Timestamp::from_microsecond(value), "microseconds"),
        TimeUnit::Nanosecond => (Timestamp::from_nanosecond(value.into()), "nanoseconds"),
    };
    match time {
        Ok(time) => push(out, format_args!("\"{time}\"")),
        Err(_) => push(out, format_args!("\"{value} {unit} since 1970\"")),
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all");
}
