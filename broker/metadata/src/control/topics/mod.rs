//! Topics: create, create on first use, delete; more partitions.

mod create;
mod delete;
mod partitions;

pub use create::{auto_create, auto_create_request, create_topics};
pub use delete::delete_topics;
pub use partitions::create_partitions;

#[cfg(test)]
pub(in crate::control) use create::new_partition;
