//! Bytes of a file that a response carries without copying them: what sendfile is given.

use std::sync::Arc;

use crate::disk::{DiskError, DiskFile};

/// A run of bytes in an open file. Holding it keeps the bytes readable after the file is deleted.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The open file.
    pub file: Arc<dyn DiskFile>,
    /// Where the run begins.
    pub position: u64,
    /// How many bytes it has.
    pub len: u32,
}

impl FileRange {
    /// Copies the run into memory, for callers that cannot hand a descriptor to the kernel.
    pub fn read(&self) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; self.len as usize];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }
}
