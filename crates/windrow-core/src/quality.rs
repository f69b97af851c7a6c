//! Measures of a clustering against known labels.
