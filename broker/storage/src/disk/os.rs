//! The kernel's files, by std and rustix. No mmap, no O_DIRECT: reads come from the page cache.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};

use super::{
    Access, DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, Operation, Space,
};

/// Pieces given to one pwritev; more pieces take more calls.
const PIECES_PER_CALL_MAX: usize = 16;

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
struct OsLock {
    // Held for its lock; closing the descriptor releases it.
    _file: File,
}

impl DiskLock for OsLock {}

impl Disk for OsDisk {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => &mut options,
            Access::ReadWrite => options.write(true),
            Access::Create => options.write(true).create(true),
            Access::CreateNew => options.write(true).create_new(true),
            Access::CreateTruncate => options.write(true).create(true).truncate(true),
        };
        let file = options.open(path).map_err(failed(Operation::Open, path))?;
        // Linux opens a directory for reading; every later call on it would fail instead.
        let metadata = file.metadata().map_err(failed(Operation::Open, path))?;
        if metadata.is_dir() {
            return Err(DiskError::new(DiskErrorKind::WrongType, Operation::Open, path));
        }
        Ok(Arc::new(OsFile { file, path: path.to_path_buf() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        if from.parent() != to.parent() {
            let kind = DiskErrorKind::AcrossDirectories;
            return Err(DiskError::new(kind, Operation::Rename, from));
        }
        fs::rename(from, to).map_err(failed(Operation::Rename, from))
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(failed(Operation::Remove, path))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_dir_all(path).map_err(failed(Operation::Remove, path))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(failed(Operation::List, path))? {
            let entry = entry.map_err(failed(Operation::List, path))?;
            // Follows a symbolic link, as a partition directory may be one.
            let is_dir = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
                Ok(kind) => kind.is_dir(),
                Err(error) => return Err(DiskError::from_io(&error, Operation::List, path)),
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, is_dir });
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(failed(Operation::CreateDir, path))
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        fs::exists(path).map_err(failed(Operation::Stat, path))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let directory = File::open(path).map_err(failed(Operation::Sync, path))?;
        directory.sync_all().map_err(failed(Operation::Sync, path))
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        let stat = rustix::fs::statvfs(path)
            .map_err(|errno| DiskError::from_io(&errno.into(), Operation::Stat, path))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { total: bytes(stat.f_blocks), free: bytes(stat.f_bavail) })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed(Operation::Lock, path))?;
        // flock belongs to the open file, so a second holder in this process is refused too.
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Box::new(OsLock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(DiskError::new(DiskErrorKind::Locked, Operation::Lock, path))
            }
            Err(errno) => Err(DiskError::from_io(&errno.into(), Operation::Lock, path)),
        }
    }
}

impl DiskFile for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        retry_interrupted(|| self.file.read_at(buf, offset))
            .map_err(failed(Operation::Read, &self.path))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, DiskError> {
        match retry_interrupted(|| self.file.write_at(buf, offset)) {
            Ok(0) if !buf.is_empty() => {
                let kind = DiskErrorKind::Io { errno: 0 };
                Err(DiskError::new(kind, Operation::Write, &self.path))
            }
            Ok(count) => Ok(count),
            Err(error) => Err(DiskError::from_io(&error, Operation::Write, &self.path)),
        }
    }

    fn write_all_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<(), DiskError> {
        let mut offset = offset;
        for group in pieces.chunks(PIECES_PER_CALL_MAX) {
            let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL_MAX];
            for (slot, piece) in slices.iter_mut().zip(group) {
                *slot = *piece;
            }
            let mut left = &mut slices[..];
            // Also drops leading empty slices, so that a write of nothing is not asked for.
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                let wrote = retry_interrupted(|| {
                    rustix::io::pwritev(&self.file, left, offset).map_err(io::Error::from)
                })
                .map_err(failed(Operation::Write, &self.path))?;
                if wrote == 0 {
                    if left.iter().all(|slice| slice.is_empty()) {
                        break;
                    }
                    let kind = DiskErrorKind::Io { errno: 0 };
                    return Err(DiskError::new(kind, Operation::Write, &self.path));
                }
                offset = offset.saturating_add(wrote as u64);
                IoSlice::advance_slices(&mut left, wrote);
            }
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(failed(Operation::Stat, &self.path))?;
        Ok(metadata.len())
    }

    fn truncate(&self, len: u64) -> Result<(), DiskError> {
        retry_interrupted(|| self.file.set_len(len))
            .map_err(failed(Operation::Truncate, &self.path))
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        let reserve = || {
            rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len)
                .map_err(io::Error::from)
        };
        match retry_interrupted(reserve) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            result => result.map_err(failed(Operation::Preallocate, &self.path)),
        }
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        // Not retried when interrupted: a sync that failed in any way has promised nothing.
        self.file.sync_data().map_err(failed(Operation::Sync, &self.path))
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.file.sync_all().map_err(failed(Operation::Sync, &self.path))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

fn failed(operation: Operation, path: &Path) -> impl Fn(io::Error) -> DiskError + '_ {
    move |error| DiskError::from_io(&error, operation, path)
}

fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
