//! `.txnindex`: the aborted transactions of a segment. Transactions are not served yet, so no such
//! file is written; the name is known here so that a file written by Apache Kafka goes with its
//! segment.

/// The file's extension.
pub(crate) const EXTENSION: &str = "txnindex";
