//! A whole broker in this process, on port 0 with a temporary directory, spoken to in raw frames
//! over TCP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod admin;
mod configs;
mod controller;
mod harness;
mod hostile;
mod inspect;
mod produce_fetch;
mod stop;
mod topics;
mod versions;
