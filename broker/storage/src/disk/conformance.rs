//! The behaviour that every `Disk` must show, as checks that run against any implementation.
