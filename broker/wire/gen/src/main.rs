//! Makes `wire::messages` from the field tables.
#![forbid(unsafe_code)]

fn main() {}
