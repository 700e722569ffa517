//! One log directory and the logs in it.
#![forbid(unsafe_code)]

pub mod disk;
