//! The `tidelog` binary.
#![forbid(unsafe_code)]

fn main() {}
