//! Kafka's bytes: primitives, frames, record batches, messages.
#![forbid(unsafe_code)]

pub mod api_key;
pub mod codec;
pub mod compression;
pub mod error_code;
pub mod frame;
pub mod ids;
pub mod message;
pub mod messages;
pub mod metadata_frame;
pub mod records;
pub mod records_slot;
pub mod show;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use message::{Message, Request, TypedRecord};
pub use records_slot::{NoRange, Piece};
