//! Audit: proves that nothing was lost, doubled or changed.
