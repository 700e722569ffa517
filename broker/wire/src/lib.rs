//! Kafka's bytes: primitives, frames, record batches, messages.
#![forbid(unsafe_code)]

pub mod compression;
pub mod ids;
pub mod records;
