//! LABEL: class-based TF-IDF over the clusters' memories.
