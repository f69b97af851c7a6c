//! Arrow's C data interface as Python hands it round: capsules (the "PyCapsule interface"). Buffers change hands, nothing is copied.
//!
//! The only file of the crate with unsafe code, for the interface is made of bare pointers. Each use relies on what the interface promises of
//! capsules of that name, and on nothing else.
#![expect(unsafe_code, reason = "the C data interface is made of pointers")]

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::ffi::{self, FFI_ArrowArray};
use arrow_array::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::{Array, RecordBatch, RecordBatchIterator, StringArray, StructArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};
use windrow_core::pipeline::Prepared;
use windrow_core::record::TextColumn;

use crate::error::invalid;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// Rows as Arrow columns. Any library that knows Arrow takes it: `pyarrow.record_batch(batch)`, `polars.DataFrame(batch)`.
#[pyclass(frozen, module = "windrow._windrow")]
pub(crate) struct Batch(pub(crate) RecordBatch);

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    /// Names of the columns.
    #[getter]
    fn column_names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.schema_ref().fields().iter().map(|field| field.name()))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = ffi::FFI_ArrowSchema::try_from(self.0.schema_ref().as_ref()).map_err(|error| broken(&error))?;
        PyCapsule::new_with_value(py, schema, SCHEMA)
    }

    /// The schema that is asked for is a wish: this one is given whatever it is.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        drop(requested_schema);
        let array = FFI_ArrowArray::new(&StructArray::from(self.0.clone()).into_data());
        PyTuple::new(py, [self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, array, ARRAY)?])
    }

    /// The schema that is asked for is a wish: this one is given whatever it is.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = RecordBatchIterator::new([Ok(self.0.clone())], self.0.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
    }
}

/// The batches of a record batch, or of anything that streams them.
pub(crate) fn batches(table: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    if table.hasattr("__arrow_c_array__")? {
        let capsules = table.call_method0("__arrow_c_array__")?.cast_into::<PyTuple>()?;
        return Ok(vec![take_batch(&capsules)?]);
    }
    if table.hasattr("__arrow_c_stream__")? {
        let capsule = table.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
        return take_stream(&capsule);
    }
    let kind = table.get_type().fully_qualified_name()?;
    Err(invalid(
        "E-INPUT-TYPE",
        format_args!("{kind} is no table that speaks Arrow"),
        "give a pyarrow, pandas (2.2 or newer) or Polars table, or anything with __arrow_c_stream__",
    ))
}

fn take_batch(capsules: &Bound<'_, PyTuple>) -> PyResult<RecordBatch> {
    let capsule = |at: usize| PyResult::Ok(capsules.get_item(at)?.cast_into::<PyCapsule>()?);
    let (schema, array) = (capsule(0)?, capsule(1)?);
    let schema = schema.pointer_checked(Some(SCHEMA))?.cast::<ffi::FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of these names hold these structs, and the capsules live until the end of this function. `from_raw` moves the array
    // out and leaves a released one, which the capsule's destructor passes over.
    let taken = unsafe { ffi::from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
    let taken = taken.map_err(|error| broken(&error))?;
    if !matches!(taken.data_type(), DataType::Struct(_)) || taken.null_count() > 0 {
        return Err(invalid("E-INPUT-TYPE", "it is an array, not a batch of columns", "give a record batch or a table"));
    }
    Ok(RecordBatch::from(StructArray::from(taken)))
}

fn take_stream(capsule: &Bound<'_, PyCapsule>) -> PyResult<Vec<RecordBatch>> {
    let stream = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name holds this struct; it is moved out, and a released one is left.
    let reader = unsafe { ArrowArrayStreamReader::from_raw(stream.as_ptr()) }.map_err(|error| broken(&error))?;
    // Producers of streams are Python as often as not: its lock stays held.
    reader.collect::<Result<_, _>>().map_err(|error| broken(&error))
}

fn broken(error: &ArrowError) -> PyErr {
    invalid("E-INPUT-TYPE", format_args!("the table cannot be taken over: {error}"), "cast its columns to text")
}

/// A column of a prepared batch as an Arrow array over the same memory, which the array keeps alive.
pub(crate) fn text(owner: &Arc<Prepared>, of: impl Fn(&Prepared) -> &TextColumn) -> StringArray {
    let column = of(owner);
    let start = NonNull::from(column.values.as_bytes()).cast();
    // SAFETY: the bytes belong to the batch, which nobody changes and which lives as long as the buffer holds it.
    let values = unsafe { Buffer::from_custom_allocation(start, column.values.len(), Arc::<Prepared>::clone(owner)) };
    let mut offsets = Vec::with_capacity(column.ends.len() + 1);
    offsets.push(0);
    offsets.extend(column.ends.iter().map(|end| end.cast_signed()));
    StringArray::new(OffsetBuffer::new(ScalarBuffer::from(offsets)), values, None)
}
