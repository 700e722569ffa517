//! Tests of the connection on real sockets, with a handler of their own.
