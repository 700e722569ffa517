//! The cluster's state: records, image, delta, control.
//!
//! ```text
//! request -> control (pure, reads the Image) -> records -> [quorum: append, commit]
//!                                                   |
//!                  Image --apply(records)--> next Image + Delta (what was touched)
//! ```
//!
//! Nothing here does IO, reads a clock, or depends on hash order.
#![forbid(unsafe_code)]

mod between;
pub mod broker_config;
pub mod control;
pub mod delta;
pub mod features;
pub mod group_config;
pub mod health;
pub mod image;
pub mod pmap;
pub mod snapshot;
pub mod topic_config;
pub mod topic_name;

pub use delta::{Delta, ReplayError, TopicChange};
pub use image::Image;
pub use wire::messages::metadata_records::MetadataRecord;

#[cfg(test)]
mod tests;
