//! One partition's replica.
#![forbid(unsafe_code)]
