//! The rules of the house, held as tests.
#![forbid(unsafe_code)]
