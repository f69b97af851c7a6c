//! Settings: file < environment < flags, merged, then checked.
