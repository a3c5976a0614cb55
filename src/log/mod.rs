//! The replicated log: openraft over RocksDB, group commit, snapshots, the change feed.
