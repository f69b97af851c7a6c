//! Batches as Arrow columns, and the Parquet settings of each family.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use windrow_core::featurize::main_domain;
use windrow_core::lineage::{Evidence, Line, LineageEvent, flatten};
use windrow_core::pipeline::Outcome;
use windrow_core::record::{Pages, RecordId, Reject, TextColumn};

use crate::sink::Family;

/// Version of the columns; stands in every file as `windrow.schema`.
pub const SCHEMA_VERSION: u32 = 1;

const ROW_GROUP_ROWS: usize = 131_072;
const ROW_GROUP_BYTES: usize = 64 << 20;
/// zstd level: on links_stream one core encodes 940,000 rows/s at level 1; level 3 saves 13 % of the bytes and makes 570,000.
const ZSTD_LEVEL: i32 = 1;
/// Columns with few distinct values: a dictionary pays. For the others it costs a third of the speed, and 4 % more bytes.
const DICTIONARY: [&str; 10] =
    ["cluster", "slot", "micro_cluster", "label", "domain", "reason", "source", "event", "main_domain", "why"];

/// Columns of a family; pages have those behind them that are carried along.
pub fn schema(family: Family, kept: &[String]) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let int = |name: &str, nullable| Field::new(name, DataType::Int32, nullable);
    let long = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
    let double = |name: &str| Field::new(name, DataType::Float64, true);
    let mut fields = match family {
        Family::Pages => vec![
            text("record_id"),
            int("cluster", false),
            int("slot", false),
            long("micro_cluster", false),
            Field::new("novel", DataType::Boolean, false),
            Field::new("score", DataType::Float64, false),
            Field::new("label", dictionary(), false),
            Field::new("creation_time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            text("id"),
            text("url"),
            text("title"),
            text("keywords"),
            text("description"),
            text("domain"),
        ],
        Family::Rejects => vec![text("record_id"), text("reason"), Field::new("raw", DataType::Binary, false), text("source")],
        Family::Lineage => vec![
            long("position", false),
            long("epoch", false),
            text("event"),
            int("cluster", false),
            int("slot", true),
            long("micro_cluster", true),
            int("from_cluster", true),
            long("into_micro_cluster", true),
            int("into_cluster", true),
            Field::new("label", DataType::Utf8, true),
            Field::new("pinned", DataType::Boolean, true),
            long("pages", true),
            Field::new("measure", DataType::Utf8, true),
            Field::new("above", DataType::Boolean, true),
            double("value"),
            double("usual_from"),
            double("usual_to"),
            int("windows", true),
            int("before", true),
            double("odds"),
            long("since", true),
        ],
    };
    if family == Family::Lineage {
        let nullable = |name: &str| Field::new(name, DataType::Utf8, true);
        fields.push(nullable("why"));
        fields.extend(Evidence::NUMBERS.map(|(name, _)| Field::new(name, DataType::Float64, true)));
        fields.extend(["words_gone", "words_came"].map(nullable));
    }
    if family == Family::Pages {
        fields.extend(kept.iter().map(|name| text(name)));
    }
    Arc::new(Schema::new(fields))
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Parquet settings of a file of pages that no epoch made.
pub(crate) fn page_properties(kept: &[String], pipeline: &str) -> WriterProperties {
    properties(Family::Pages.folder(), &schema(Family::Pages, kept), pipeline, 0)
}

/// Parquet settings of a file in a folder of ours.
pub(super) fn properties(folder: &str, schema: &Schema, pipeline: &str, epoch: u64) -> WriterProperties {
    let about = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("windrow ", env!("CARGO_PKG_VERSION")).into())
        .set_key_value_metadata(Some(vec![
            about("windrow.version", env!("CARGO_PKG_VERSION").into()),
            about("windrow.schema", SCHEMA_VERSION.to_string()),
            about("windrow.family", folder.into()),
            about("windrow.pipeline", pipeline.into()),
            about("windrow.epoch", epoch.to_string()),
        ]))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("a level that zstd has")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in schema.fields() {
        let column = ColumnPath::from(vec![field.name().clone()]);
        if DICTIONARY.contains(&field.name().as_str()) {
            properties = properties.set_column_dictionary_enabled(column.clone(), true);
        }
        if matches!(field.data_type(), DataType::Utf8 | DataType::Binary | DataType::Dictionary(..)) {
            properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
        }
    }
    properties.build()
}

/// Pages with their decisions as columns.
pub(super) fn pages(pages: Pages, outcome: &Outcome, kept: &[String]) -> RecordBatch {
    let decisions = &outcome.decisions;
    assert!(decisions.len() == pages.len() && outcome.label.len() == pages.len(), "one decision and one label a page");
    let labels = Arc::new(StringArray::from_iter_values(&outcome.labels));
    let label_numbers = Int32Array::from_iter_values(outcome.label.iter().map(|number| number.cast_signed()));
    let label = DictionaryArray::<Int32Type>::try_new(label_numbers, labels).expect("label numbers lie in the list of labels");
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(text(record_ids(pages.origin.iter()))),
        Arc::new(Int32Array::from_iter_values(decisions.iter().map(|decision| decision.cluster.cast_signed()))),
        Arc::new(Int32Array::from_iter_values(decisions.iter().map(|decision| decision.slot.cast_signed()))),
        Arc::new(Int64Array::from_iter_values(decisions.iter().map(|decision| decision.micro_cluster.cast_signed()))),
        Arc::new(BooleanArray::from_iter(decisions.iter().map(|decision| Some(decision.novel)))),
        Arc::new(Float64Array::from_iter_values(decisions.iter().map(|decision| decision.score))),
        Arc::new(label),
        Arc::new(TimestampMicrosecondArray::from_iter(pages.creation_time.iter().copied()).with_timezone("UTC")),
        Arc::new(text(pages.id)),
        Arc::new(text(pages.url)),
        Arc::new(text(pages.title)),
        Arc::new(text(pages.keywords)),
        Arc::new(text(pages.description)),
        Arc::new(text(pages.domain)),
    ];
    columns.extend(pages.kept.into_iter().map(|column| Arc::new(text(column)) as ArrayRef));
    RecordBatch::try_new(schema(Family::Pages, kept), columns).expect("columns follow the schema")
}

/// Pages with the original's six columns: its `cluster` is the number of the topic, and what is empty is null.
pub(super) fn original(pages: &Pages, outcome: &Outcome) -> RecordBatch {
    let nullable = |name: &str, kind| Field::new(name, kind, true);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        nullable("url", DataType::Utf8),
        nullable("main_domain", DataType::Utf8),
        nullable("cluster", DataType::Int32),
        nullable("id", DataType::Utf8),
        nullable("creation_time", time),
        nullable("description", DataType::Utf8),
    ]);
    let rows = || 0..pages.len();
    let text = |column: &TextColumn| -> ArrayRef {
        Arc::new(rows().map(|row| Some(column.get(row)).filter(|value| !value.is_empty())).collect::<StringArray>())
    };
    let slots = outcome.decisions.iter().map(|decision| decision.slot.cast_signed());
    let columns: Vec<ArrayRef> = vec![
        text(&pages.url),
        Arc::new(StringArray::from_iter_values(rows().map(|row| main_domain(pages.url.get(row))))),
        Arc::new(Int32Array::from_iter_values(slots)),
        text(&pages.id),
        Arc::new(TimestampMicrosecondArray::from_iter(pages.creation_time.iter().copied()).with_timezone("UTC")),
        text(&pages.description),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("columns follow the schema")
}

/// Rejects as columns.
pub(super) fn rejects(rejects: &[Reject], sources: &[String]) -> RecordBatch {
    let source = |reject: &Reject| sources.get(reject.origin.source as usize).map_or("", String::as_str);
    let mut raw = BinaryBuilder::new();
    rejects.iter().for_each(|reject| raw.append_value(&reject.raw));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(text(record_ids(rejects.iter().map(|reject| &reject.origin)))),
        Arc::new(StringArray::from_iter_values(rejects.iter().map(|reject| reject.reason.code()))),
        Arc::new(raw.finish()),
        Arc::new(StringArray::from_iter_values(rejects.iter().map(source))),
    ];
    RecordBatch::try_new(schema(Family::Rejects, &[]), columns).expect("columns follow the schema")
}

/// Lineage as columns.
pub(super) fn lineage(events: &[LineageEvent], epoch: u64) -> RecordBatch {
    let lines: Vec<_> = events.iter().map(|event| flatten(&event.happening)).collect();
    let int = |of: fn(&Line<'_>) -> Option<u32>| -> ArrayRef {
        Arc::new(lines.iter().map(|(_, line)| of(line).map(u32::cast_signed)).collect::<Int32Array>())
    };
    let long = |of: fn(&Line<'_>) -> Option<u64>| -> ArrayRef {
        Arc::new(lines.iter().map(|(_, line)| of(line).map(u64::cast_signed)).collect::<Int64Array>())
    };
    let text = |of: fn(&Evidence) -> Option<&str>| -> ArrayRef {
        Arc::new(lines.iter().map(|(_, line)| of(&line.evidence)).collect::<StringArray>())
    };
    let double = |of: fn(&Line<'_>) -> Option<f64>| -> ArrayRef {
        Arc::new(lines.iter().map(|(_, line)| of(line)).collect::<Float64Array>())
    };
    let bool = |of: fn(&Line<'_>) -> Option<bool>| -> ArrayRef {
        Arc::new(lines.iter().map(|(_, line)| of(line)).collect::<BooleanArray>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.position.cast_signed()))),
        Arc::new(Int64Array::from_value(epoch.cast_signed(), events.len())),
        Arc::new(StringArray::from_iter_values(lines.iter().map(|(code, _)| code))),
        Arc::new(Int32Array::from_iter_values(events.iter().map(|event| event.cluster.cast_signed()))),
        int(|line| line.slot),
        long(|line| line.micro_cluster),
        int(|line| line.from_cluster),
        long(|line| line.into_micro_cluster),
        int(|line| line.into_cluster),
        Arc::new(lines.iter().map(|(_, line)| line.label).collect::<StringArray>()),
        bool(|line| line.pinned),
        long(|line| line.pages),
        Arc::new(lines.iter().map(|(_, line)| line.measure).collect::<StringArray>()),
        bool(|line| line.above),
        double(|line| line.value),
        double(|line| line.usual_from),
        double(|line| line.usual_to),
        int(|line| line.windows),
        int(|line| line.before),
        double(|line| line.odds),
        long(|line| line.since),
        text(|it| it.why.as_deref()),
    ];
    columns.extend(
        Evidence::NUMBERS.map(|(_, of)| -> ArrayRef {
            Arc::new(lines.iter().map(|(_, line)| of(&line.evidence)).collect::<Float64Array>())
        }),
    );
    columns.extend([text(|it| it.words_gone.as_deref()), text(|it| it.words_came.as_deref())]);
    RecordBatch::try_new(schema(Family::Lineage, &[]), columns).expect("columns follow the schema")
}

/// An Arrow array out of the column's own memory.
fn text(column: TextColumn) -> StringArray {
    let mut offsets = Vec::with_capacity(column.ends.len() + 1);
    offsets.push(0);
    offsets.extend(column.ends.iter().map(|end| end.cast_signed()));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::new(offsets, Buffer::from_vec(column.values.into_bytes()), None)
}

/// Record ids as text. They come by the million: the digits are made by hand.
pub(super) fn record_ids<'a>(origins: impl ExactSizeIterator<Item = &'a RecordId>) -> TextColumn {
    let mut column = TextColumn { values: String::with_capacity(origins.len() * 12), ends: Vec::with_capacity(origins.len()) };
    let mut source = (u32::MAX, String::new());
    for origin in origins {
        if source.0 != origin.source || source.1.is_empty() {
            source = (origin.source, format!("{}:", origin.source));
        }
        column.values.push_str(&source.1);
        push_digits(&mut column.values, origin.offset);
        column.ends.push(u32::try_from(column.values.len()).expect("a batch holds less than 4 GiB of text"));
    }
    column
}

fn push_digits(text: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}
