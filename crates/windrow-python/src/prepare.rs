//! PREPARE: rows of an Arrow table become pages and rejects.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use windrow_core::pipeline;

use crate::arrow::{self, Batch};
use crate::columns;
use crate::error::unreadable;
use crate::rows::Table;
use crate::settings;

/// Makes pages and rejects of rows. Stateless: prepare anywhere, in any order, with one for each thread.
#[pyclass(frozen, module = "windrow._windrow")]
pub(crate) struct Preparer {
    inner: Mutex<pipeline::Preparer>,
    keep: Vec<String>,
}

#[pymethods]
impl Preparer {
    #[new]
    #[pyo3(signature = (settings="", keep=Vec::new()))]
    fn new(settings: &str, keep: Vec<String>) -> PyResult<Self> {
        let settings = settings::parse(settings)?;
        let inner = Mutex::new(pipeline::Preparer::with_rules(settings.features, settings.rules));
        Ok(Self { inner, keep })
    }

    /// Cleans and featurizes the rows of a batch or a table.
    fn prepare(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<Prepared> {
        let batches = arrow::batches(batch)?;
        py.detach(|| {
            let table = Table::new(&batches, &self.keep)?;
            // It holds scratch memory only: whoever panicked left nothing in it that matters.
            let mut preparer = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let mut prepared = preparer.prepare(table.rows().map(Ok));
            prepared.rejects.iter_mut().for_each(|reject| reject.raw = table.raw(std::mem::take(&mut reject.raw)));
            Ok(Prepared { inner: Arc::new(prepared), keep: self.keep.clone() })
        })
    }
}

/// A batch after cleaning and featurizing.
#[pyclass(frozen, module = "windrow._windrow")]
pub(crate) struct Prepared {
    pub(crate) inner: Arc<pipeline::Prepared>,
    keep: Vec<String>,
}

#[pymethods]
impl Prepared {
    /// The batch as bytes, to be sent elsewhere.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.inner.to_bytes());
        PyBytes::new(py, &bytes)
    }

    /// The batch that the bytes were made of. `keep` names the columns that are carried along.
    #[staticmethod]
    #[pyo3(signature = (bytes, keep=Vec::new()))]
    fn from_bytes(py: Python<'_>, bytes: &[u8], keep: Vec<String>) -> PyResult<Self> {
        let read = py.detach(|| pipeline::Prepared::from_bytes(bytes));
        Ok(Self { inner: Arc::new(read.map_err(|error| unreadable("a prepared batch", &error))?), keep })
    }

    /// The same batch as one of the source with this ordinal: who prepares need not know how many sources there are.
    fn with_source(&self, py: Python<'_>, source: u32) -> Self {
        let inner = py.detach(|| {
            let mut inner = pipeline::Prepared::clone(&self.inner);
            inner.pages.origin.iter_mut().for_each(|origin| origin.source = source);
            inner.rejects.iter_mut().for_each(|reject| reject.origin.source = source);
            inner
        });
        Self { inner: Arc::new(inner), keep: self.keep.clone() }
    }

    /// Rows of the batch: pages and rejects.
    #[getter]
    fn n_rows(&self) -> u64 {
        self.inner.n_rows
    }

    /// Pages of the batch.
    #[getter]
    fn n_pages(&self) -> usize {
        self.inner.pages.len()
    }

    /// The pages as cleaned, one row each.
    fn pages(&self) -> Batch {
        Batch(columns::pages(&self.inner, &self.keep))
    }

    /// `source` and `offset` of the pages, one row each.
    fn origins(&self) -> Batch {
        Batch(columns::origins(&self.inner))
    }

    /// The rejects, with their reasons and original bytes.
    fn rejects(&self) -> Batch {
        Batch(columns::rejects(&self.inner))
    }

    fn __repr__(&self) -> String {
        format!("Prepared({} pages, {} rejects)", self.inner.pages.len(), self.inner.rejects.len())
    }
}
