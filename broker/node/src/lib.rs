//! A broker without sockets.
#![forbid(unsafe_code)]
