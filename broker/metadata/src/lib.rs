//! The cluster's state: records, image, delta, control.
#![forbid(unsafe_code)]
