//! The native half of the Python package `windrow`: prepare, learn, assign and explain, over Arrow's C data interface.
//!
//! ```text
//! any Arrow table ─ Preparer.prepare ─> Prepared ─ Model.learn | assign | explain ─> Batch, which any Arrow library takes
//!                   anywhere            bytes      one order
//! ```
//!
//! Nothing is decided here: what a page is and where it goes is windrow-core's, and the bytes of a model are the engine's. No work is done
//! with the interpreter's lock held.

mod arrow;
mod columns;
mod error;
mod model;
mod prepare;
mod rows;
mod settings;
mod state;

use pyo3::prelude::*;

/// The module `windrow._windrow`.
#[pymodule]
fn _windrow(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<arrow::Batch>()?;
    module.add_class::<prepare::Preparer>()?;
    module.add_class::<prepare::Prepared>()?;
    module.add_class::<model::Model>()?;
    state::add(module)
}
