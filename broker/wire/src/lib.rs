//! Kafka's bytes: primitives, frames, record batches, messages.
#![forbid(unsafe_code)]
