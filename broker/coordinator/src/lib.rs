//! Group coordinator as a pure shard.
#![forbid(unsafe_code)]
