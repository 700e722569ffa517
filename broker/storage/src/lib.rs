//! One log directory and the logs in it.
#![forbid(unsafe_code)]

pub mod checkpoints;
pub mod directory;
pub mod disk;

pub mod config;
pub mod epochs;
pub mod error;
mod file_range;
mod index;
pub mod log;
pub mod producers;
mod segment;
mod segments;
mod verified;
mod walk;

pub use config::LogConfig;
pub use file_range::FileRange;
