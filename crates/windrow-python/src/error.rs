//! Errors as Python has them: classes of `windrow._errors`, one for each thing that the reader may have to do.

use std::fmt;

use pyo3::PyErr;
use pyo3::prelude::*;
use windrow_core::snapshot::SnapshotError;

/// The call or a setting is wrong: mend it.
pub(crate) fn invalid(code: &str, message: impl fmt::Display, hint: &str) -> PyErr {
    raise("InvalidError", code, &message.to_string(), hint)
}

/// Bytes are not what they should be.
pub(crate) fn data(code: &str, message: impl fmt::Display, hint: &str) -> PyErr {
    raise("DataError", code, &message.to_string(), hint)
}

/// What is wrong with the bytes of a model or of a prepared batch.
pub(crate) fn unreadable(what: &str, error: &SnapshotError) -> PyErr {
    match error {
        SnapshotError::Damaged(why) => {
            data("E-STATE-DAMAGED", format_args!("the bytes are not those of {what}: {why}"), "take an undamaged copy")
        }
        SnapshotError::Newer { found, supported } => data(
            "E-STATE-NEWER",
            format_args!("{what} has format {found}, this version reads up to {supported}"),
            "use the version that wrote it, or a newer one",
        ),
        SnapshotError::OtherSettings { .. } => {
            invalid("E-SETTINGS-STATE", error, "give the settings that the model was made with")
        }
    }
}

fn raise(class: &str, code: &str, message: &str, hint: &str) -> PyErr {
    let made = |py: Python<'_>| -> PyResult<PyErr> {
        let error = py.import("windrow._errors")?.getattr(class)?.call1((message, code, hint))?;
        Ok(PyErr::from_value(error))
    };
    // What keeps the class from being imported is then the error.
    Python::attach(|py| made(py).unwrap_or_else(|error| error))
}
