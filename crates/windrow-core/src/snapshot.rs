//! Snapshots: versioned bytes of the whole model state.

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not what was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error("the snapshot has format {found}, this program reads up to {supported}")]
    Newer {
        /// Format found.
        found: u32,
        /// Newest format understood.
        supported: u32,
    },
    /// Made with other settings.
    #[error("the snapshot was made with {key} = {found}, the settings say {wanted}")]
    OtherSettings {
        /// The setting.
        key: String,
        /// Value in the snapshot.
        found: String,
        /// Value asked for.
        wanted: String,
    },
}
