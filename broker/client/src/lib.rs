//! An async Kafka client.
#![forbid(unsafe_code)]
