//! What is known of pages, rejects and clusters as Arrow columns, named and typed as in the engine's Parquet.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Schema};
use windrow_core::cluster::Assignment;
use windrow_core::lineage::{Evidence, Line, LineageEvent, flatten};
use windrow_core::pipeline::{Outcome, Pipeline, Prepared};
use windrow_core::record::TextColumn;

use crate::arrow::text;
use crate::rows::record_ids;

/// Puts columns together; of each whether it may be null.
fn batch<'a>(columns: impl IntoIterator<Item = (&'a str, bool, ArrayRef)>) -> RecordBatch {
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, nullable, array)| (Field::new(name, array.data_type().clone(), nullable), array))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length, null where they may be")
}

/// Pages as cleaned.
pub(crate) fn pages(prepared: &Arc<Prepared>, kept: &[String]) -> RecordBatch {
    let text = |of: fn(&Prepared) -> &TextColumn| -> ArrayRef { Arc::new(text(prepared, of)) };
    let times = prepared.pages.creation_time.iter().copied();
    let mut columns: Vec<(&str, bool, ArrayRef)> = vec![
        ("record_id", false, owned(record_ids(prepared.pages.origin.iter()))),
        ("creation_time", true, Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))),
        ("id", false, text(|it| &it.pages.id)),
        ("url", false, text(|it| &it.pages.url)),
        ("title", false, text(|it| &it.pages.title)),
        ("keywords", false, text(|it| &it.pages.keywords)),
        ("description", false, text(|it| &it.pages.description)),
        ("domain", false, text(|it| &it.pages.domain)),
    ];
    for (place, name) in kept.iter().enumerate().take(prepared.pages.kept.len()) {
        columns.push((name, false, Arc::new(crate::arrow::text(prepared, |it| &it.pages.kept[place]))));
    }
    batch(columns)
}

/// Where the pages came from.
pub(crate) fn origins(prepared: &Prepared) -> RecordBatch {
    let origins = prepared.pages.origin.iter();
    batch([
        (
            "source",
            false,
            Arc::new(Int32Array::from_iter_values(origins.clone().map(|it| it.source.cast_signed()))) as ArrayRef,
        ),
        ("offset", false, Arc::new(Int64Array::from_iter_values(origins.map(|it| it.offset.cast_signed())))),
    ])
}

/// Rejects, with the bytes they were.
pub(crate) fn rejects(prepared: &Prepared) -> RecordBatch {
    let rejects = &prepared.rejects;
    batch([
        ("record_id", false, owned(record_ids(rejects.iter().map(|reject| &reject.origin)))),
        (
            "reason",
            false,
            Arc::new(StringArray::from_iter_values(rejects.iter().map(|reject| reject.reason.code()))) as ArrayRef,
        ),
        ("raw", false, Arc::new(BinaryArray::from_iter_values(rejects.iter().map(|reject| &reject.raw)))),
    ])
}

/// One decision a page.
pub(crate) fn decisions(outcome: &Outcome) -> RecordBatch {
    let decisions = outcome.decisions.iter();
    let labels = outcome.label.iter().map(|&number| &outcome.labels[number as usize]);
    batch([
        (
            "cluster",
            false,
            Arc::new(Int32Array::from_iter_values(decisions.clone().map(|it| it.cluster.cast_signed()))) as ArrayRef,
        ),
        ("slot", false, Arc::new(Int32Array::from_iter_values(decisions.clone().map(|it| it.slot.cast_signed())))),
        (
            "micro_cluster",
            false,
            Arc::new(Int64Array::from_iter_values(decisions.clone().map(|it| it.micro_cluster.cast_signed()))),
        ),
        ("novel", false, Arc::new(BooleanArray::from_iter(decisions.clone().map(|it| Some(it.novel))))),
        ("score", false, Arc::new(Float64Array::from_iter_values(decisions.map(|it| it.score)))),
        ("label", false, Arc::new(StringArray::from_iter_values(labels))),
    ])
}

/// One place a page; all null while the model knows nothing.
pub(crate) fn places(places: &[Option<Assignment>], pipeline: &Pipeline) -> RecordBatch {
    let of = || places.iter().map(Option::as_ref);
    let labels = of().map(|it| it.and_then(|it| pipeline.label(it.cluster)));
    let micro = of().map(|it| it.and_then(|it| it.micro_cluster).map(u64::cast_signed));
    batch([
        ("cluster", true, Arc::new(of().map(|it| it.map(|it| it.cluster.cast_signed())).collect::<Int32Array>()) as ArrayRef),
        ("slot", true, Arc::new(of().map(|it| it.map(|it| it.slot.cast_signed())).collect::<Int32Array>())),
        ("micro_cluster", true, Arc::new(micro.collect::<Int64Array>())),
        ("novel", true, Arc::new(of().map(|it| it.map(|it| it.novel)).collect::<BooleanArray>())),
        ("score", true, Arc::new(of().map(|it| it.map(|it| it.score)).collect::<Float64Array>())),
        ("label", true, Arc::new(labels.collect::<StringArray>())),
    ])
}

/// What happened, as in the engine's lineage.
pub(crate) fn lineage(events: &[LineageEvent]) -> RecordBatch {
    let lines: Vec<_> = events.iter().map(|event| (event, flatten(&event.happening))).collect();
    let lines = || lines.iter().map(|(event, (code, line))| (event, code, line));
    let int = |of: fn(&Line<'_>) -> Option<u32>| -> ArrayRef {
        Arc::new(lines().map(|(.., line)| of(line).map(u32::cast_signed)).collect::<Int32Array>())
    };
    let long = |of: fn(&Line<'_>) -> Option<u64>| -> ArrayRef {
        Arc::new(lines().map(|(.., line)| of(line).map(u64::cast_signed)).collect::<Int64Array>())
    };
    let text = |of: fn(&Evidence) -> Option<&str>| -> ArrayRef {
        Arc::new(lines().map(|(.., line)| of(&line.evidence)).collect::<StringArray>())
    };
    let number = |(name, of): (&'static str, fn(&Evidence) -> Option<f64>)| -> (&'static str, bool, ArrayRef) {
        (name, true, Arc::new(lines().map(|(.., line)| of(&line.evidence)).collect::<Float64Array>()))
    };
    let double = |of: fn(&Line<'_>) -> Option<f64>| -> ArrayRef {
        Arc::new(lines().map(|(.., line)| of(line)).collect::<Float64Array>())
    };
    let mut columns = vec![
        ("position", false, Arc::new(Int64Array::from_iter_values(lines().map(|it| it.0.position.cast_signed()))) as ArrayRef),
        ("event", false, Arc::new(StringArray::from_iter_values(lines().map(|it| it.1)))),
        ("cluster", false, Arc::new(Int32Array::from_iter_values(lines().map(|it| it.0.cluster.cast_signed())))),
        ("slot", true, int(|line| line.slot)),
        ("micro_cluster", true, long(|line| line.micro_cluster)),
        ("from_cluster", true, int(|line| line.from_cluster)),
        ("into_micro_cluster", true, long(|line| line.into_micro_cluster)),
        ("into_cluster", true, int(|line| line.into_cluster)),
        ("label", true, Arc::new(lines().map(|(.., line)| line.label).collect::<StringArray>())),
        ("pinned", true, Arc::new(lines().map(|(.., line)| line.pinned).collect::<BooleanArray>())),
        ("pages", true, long(|line| line.pages)),
        ("measure", true, Arc::new(lines().map(|(.., line)| line.measure).collect::<StringArray>())),
        ("above", true, Arc::new(lines().map(|(.., line)| line.above).collect::<BooleanArray>())),
        ("value", true, double(|line| line.value)),
        ("usual_from", true, double(|line| line.usual_from)),
        ("usual_to", true, double(|line| line.usual_to)),
        ("windows", true, int(|line| line.windows)),
        ("before", true, int(|line| line.before)),
        ("odds", true, double(|line| line.odds)),
        ("since", true, long(|line| line.since)),
        ("why", true, text(|it| it.why.as_deref())),
    ];
    columns.extend(Evidence::NUMBERS.map(number));
    columns.push(("words_gone", true, text(|it| it.words_gone.as_deref())));
    columns.push(("words_came", true, text(|it| it.words_came.as_deref())));
    batch(columns)
}

/// An array out of a column's own memory.
fn owned(column: TextColumn) -> ArrayRef {
    let ends = column.ends.iter().map(|end| end.cast_signed());
    let offsets: Vec<i32> = std::iter::once(0).chain(ends).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Arc::new(StringArray::new(offsets, Buffer::from_vec(column.values.into_bytes()), None))
}
