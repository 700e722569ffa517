//! Record batches v2 (KIP-98): what producers send, logs hold and consumers receive.
//!
//! A batch is kept as a slice of the bytes it came in. Only validation, compaction and searches by
//! timestamp look at its records, through borrowed views.

mod batch;
mod builder;
mod control;
mod error;
mod header;
mod record;
#[cfg(test)]
mod tests;
mod validate;
mod varint;

pub use batch::{Batch, BatchIter};
pub use builder::{BatchBuilder, BatchOptions, empty_batch};
pub use control::{ControlType, control_batch};
pub use error::BatchError;
pub use header::{
    Attributes, BatchHeader, FRESH_HEAD_BYTES, HEADER_BYTES, LENGTH_PREFIX_BYTES, NO_SEQUENCE,
    NO_TIMESTAMP, TimestampType, add_sequence,
};
pub use record::{Header, HeaderIter, Record, RecordIter, RecordSet};
pub use validate::{ProduceRules, Validated, validate_produced};
