//! The cluster's state: records, image, delta, control.
#![forbid(unsafe_code)]

pub mod pmap;
pub mod topic_config;
pub mod topic_name;
