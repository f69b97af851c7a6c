//! WRITE: sinks of pages, rejects and lineage.
