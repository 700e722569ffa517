//! A segment's indexes: sparse, append-only files of fixed-width entries in Kafka's bytes.
//!
//! The entries of the active segment are held in memory only until there are enough to write out;
//! everything older is searched in the file by pread. So an index costs a partition a few hundred
//! bytes, whatever the segment's size, and no descriptor stays open for it.

pub(crate) mod offset;
pub(crate) mod sparse;
pub(crate) mod time;
pub(crate) mod txn;

pub(crate) use sparse::SparseIndex;
