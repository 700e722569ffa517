//! Topics: create, create on first use, delete.

mod create;
mod delete;

pub use create::{auto_create, create_topics};
pub use delete::delete_topics;
