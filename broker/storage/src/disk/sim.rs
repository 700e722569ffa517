//! A seeded simulator of a disk and its page cache.
