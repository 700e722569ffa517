//! File ranges that are not in the page cache: found by asking without waiting, read in by a
//! thread that may block, so that a slow disk does not hold a worker and its connections.

use std::io::{self, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use storage::disk::DiskFile;

/// One visit to the blocking pool reads at most this much in.
const WARM_BYTES_MAX: u64 = 1024 * 1024;
const STEP_BYTES: usize = 128 * 1024;

/// A range to be read in before it is sent.
#[derive(Debug)]
pub(crate) struct ColdRange {
    file: Arc<dyn DiskFile>,
    position: u64,
    len: u64,
}

impl ColdRange {
    pub(super) fn new(file: Arc<dyn DiskFile>, position: u64, len: u64) -> Self {
        Self { file, position, len: len.min(WARM_BYTES_MAX) }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads the range into the page cache. Blocks.
    pub(crate) fn warm(self) -> io::Result<()> {
        let mut scratch = vec![0; STEP_BYTES];
        let end = self.position + self.len;
        let mut position = self.position;
        while position < end {
            let left = usize::try_from(end - position).unwrap_or(STEP_BYTES);
            let step = scratch.get_mut(..left.min(STEP_BYTES)).unwrap_or_default();
            match self.file.read_at(step, position).map_err(io::Error::other)? {
                // The file ends sooner: sending it will say so.
                0 => return Ok(()),
                count => position += count as u64,
            }
        }
        Ok(())
    }
}

/// Whether sending `count` bytes from `position` would wait for the disk, judged by both ends.
pub(super) fn is_cold(file: BorrowedFd<'_>, position: u64, count: u64) -> bool {
    let is_missing = |at| {
        let mut byte = [0; 1];
        let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        // A file system that cannot tell is taken for hot.
        read == Err(Errno::AGAIN)
    };
    count > 0 && (is_missing(position + count - 1) || is_missing(position))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use storage::disk::{Access, Disk, os::OsDisk};

    use super::*;

    #[test]
    fn a_range_that_was_read_in_is_hot() {
        const LEN: u64 = 3 * 1024 * 1024 / 2;
        let name = format!("tidelog-server-{}-cold", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, vec![7; LEN as usize]).unwrap();
        let plain = std::fs::File::open(&path).unwrap();
        plain.sync_all().unwrap();
        let advice = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(plain.as_fd(), 0, None, advice).unwrap();
        let file = OsDisk.open(&path, Access::Read).unwrap();
        std::fs::remove_file(&path).unwrap();
        // A file system in memory is never cold.
        println!("cold: {}", is_cold(plain.as_fd(), 0, LEN));
        ColdRange::new(Arc::clone(&file), 0, LEN).warm().unwrap();
        assert!(!is_cold(plain.as_fd(), 0, WARM_BYTES_MAX));
        // Beyond the end of the file nothing is waited for.
        ColdRange::new(file, LEN, 10).warm().unwrap();
        assert!(!is_cold(plain.as_fd(), LEN, 10));
    }
}
