//! COMMIT: manifest, snapshots, lock, recovery.
