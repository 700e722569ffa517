//! The Disk seam: everything that storage and the metadata log ask of a file system.
//!
//! Why a seam: the same logs run on the kernel's files (`os::OsDisk`) and on a seeded simulator of
//! a page cache (`sim::SimDisk`) that loses what was not synced, tears writes and fails on demand.
//! `conformance` holds both to the same behaviour. All calls are synchronous and take `&self`;
//! the caller decides which thread may block.
//!
//! Durability contract, which is POSIX's and not ext4's:
//! - bytes are durable after `sync_data`/`sync_all` of their file, nothing sooner;
//! - a created, renamed or removed name is durable after `sync_dir` of its directory;
//! - after a failed sync the bytes are gone from any later sync's promise (the kernel marks the
//!   pages clean): never retry it, take the directory offline.

use std::fmt::Debug;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
mod conformance;
mod error;
pub mod os;
pub mod sim;

pub use error::{DiskError, DiskErrorKind, Operation};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    ReadWrite,
    /// Read and write; made when it does not exist.
    Create,
    /// Read and write; the file must not exist.
    CreateNew,
    /// Read and write; made when it does not exist, emptied when it does.
    CreateTruncate,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last part of the path (bytes that are no UTF-8 are replaced: no file of ours has any).
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
}

/// The room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All there is.
    pub total: u64,
    /// What may still be written.
    pub free: u64,
}

/// A file system. Shared as `Arc<dyn Disk>`; made once at the start and passed down.
pub trait Disk: Send + Sync + Debug {
    /// Opens or makes a file.
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Renames a file or directory within one directory, replacing a file that has the new name.
    /// Both paths must have the same parent, so that one `sync_dir` makes the rename durable.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file. Open handles keep its bytes readable.
    fn remove_file(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError>;

    /// Makes a directory and its missing parents; an existing one is fine.
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// Whether something has this name.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;

    /// Makes creations, renames and removals of names in this directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// The room on the file system that holds this path.
    fn space(&self, path: &Path) -> Result<Space, DiskError>;

    /// Makes the file if needed and locks it exclusively against every other holder, in this
    /// process or another. `DiskErrorKind::Locked` when someone has it. Dropping the lock frees it.
    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError>;
}

/// A held lock file; dropping it releases the lock.
pub trait DiskLock: Send + Sync + Debug {}

/// An open file. Positions are explicit; there is no cursor, so a shared handle is safe.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads at most `buf.len()` bytes; fewer at the end of the file, 0 beyond it.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes some of `buf`, at least one byte unless it is empty. May write less than all.
    fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes the pieces one after another from `offset`, all of them, in as few calls as the
    /// system allows. On an error some leading bytes may have been written.
    fn write_all_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<(), DiskError>;

    /// The file's length in bytes.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) the file to `len` bytes.
    fn truncate(&self, len: u64) -> Result<(), DiskError>;

    /// Reserves space up to `len` bytes without changing the file's length. A file system that
    /// cannot reserve answers Ok.
    fn preallocate(&self, len: u64) -> Result<(), DiskError>;

    /// Makes the bytes and the length durable (fdatasync).
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Makes the bytes and all of the file's metadata durable (fsync).
    fn sync_all(&self) -> Result<(), DiskError>;

    /// The descriptor for sendfile; None where there is no kernel file (the simulator).
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Fills `buf` from `offset` or fails with `DiskErrorKind::UnexpectedEnd`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset.saturating_add(done as u64))? {
                0 => {
                    return Err(DiskError::new(
                        DiskErrorKind::UnexpectedEnd,
                        Operation::Read,
                        Path::new(""),
                    ));
                }
                count => done += count,
            }
        }
        Ok(())
    }
}

/// Reads a whole file of at most `bytes_max` bytes; `DiskErrorKind::TooLarge` when it has more.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(path, Access::Read)?;
    let len = file.len()?;
    if len > bytes_max {
        return Err(DiskError::new(DiskErrorKind::TooLarge, Operation::Read, path));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).map_err(|error| error.at(path))?;
    Ok(bytes)
}

/// Replaces a file's content so that after any crash the old or the new content is there, whole:
/// write `<name>.tmp`, sync it, rename it over, sync the directory.
pub fn write_file_atomically(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let tmp = path.with_file_name(name);
    let written = disk.open(&tmp, Access::CreateTruncate).and_then(|file| {
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_all()
    });
    if let Err(error) = written {
        if error.heals() {
            // Half a file would keep the space that others wait for.
            let _ = disk.remove_file(&tmp);
        }
        return Err(error);
    }
    disk.rename(&tmp, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Replaces a file's content atomically or, on a full disk, by writing over it in its place: for
/// text of less than a sector that must be writable then too. Line ends behind it fill the sector,
/// so that no crash tears it by its length.
pub fn write_file_in_any_case(disk: &dyn Disk, path: &Path, text: &[u8]) -> Result<(), DiskError> {
    let mut bytes = text.to_vec();
    bytes.resize(text.len().next_multiple_of(SECTOR_BYTES), b'\n');
    let bytes = bytes.as_slice();
    match write_file_atomically(disk, path, bytes) {
        Err(error) if error.heals() && disk.exists(path)? => {}
        done => return done,
    }
    let file = disk.open(path, Access::ReadWrite)?;
    file.write_all_at(&[IoSlice::new(bytes)], 0)?;
    file.truncate(bytes.len() as u64)?;
    file.sync_all()
}
