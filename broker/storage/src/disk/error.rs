//! What a disk call can answer instead of success: one kind per decision that a caller takes.

use std::io;
use std::path::{Path, PathBuf};

/// The call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening or making a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Asking for length or existence.
    Stat,
    /// Cutting or extending a file.
    Truncate,
    /// Reserving space.
    Preallocate,
    /// Syncing a file or directory.
    Sync,
    /// Renaming.
    Rename,
    /// Removing a file or directory.
    Remove,
    /// Listing a directory.
    List,
    /// Making a directory.
    CreateDir,
    /// Locking a lock file.
    Lock,
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// The file or directory does not exist.
    #[error("not found")]
    NotFound,
    /// The name is taken.
    #[error("already exists")]
    AlreadyExists,
    /// The disk or the quota is full. Heals when space is freed.
    #[error("no space left")]
    NoSpace,
    /// Someone else holds the lock.
    #[error("locked by another process")]
    Locked,
    /// Not allowed.
    #[error("permission denied")]
    Permission,
    /// The file system has become read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// The process or the system has no descriptor left. Heals.
    #[error("too many open files")]
    TooManyFiles,
    /// The name is longer than the file system allows.
    #[error("name too long")]
    NameTooLong,
    /// The path is a file where a directory is needed, or the other way round.
    #[error("wrong type of file")]
    WrongType,
    /// The file ended before all wanted bytes were read.
    #[error("unexpected end of file")]
    UnexpectedEnd,
    /// The file is larger than its reader allows.
    #[error("file larger than its limit")]
    TooLarge,
    /// A rename across directories, which the seam does not offer.
    #[error("rename across directories")]
    AcrossDirectories,
    /// The simulated machine has lost power; only the simulator answers this.
    #[error("the simulated machine is down")]
    Crashed,
    /// Any other error of the device or the kernel, by its errno when there is one.
    #[error("input/output error (errno {errno})")]
    Io {
        /// The system's error number, 0 when there is none.
        errno: i32,
    },
}

/// A failed disk call: which, on what, why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation:?} {}: {kind}", path.display())]
pub struct DiskError {
    /// Why.
    pub kind: DiskErrorKind,
    /// Which call.
    pub operation: Operation,
    /// On what; empty when a handle did not know its path.
    pub path: PathBuf,
}

impl DiskError {
    /// Makes an error.
    pub fn new(kind: DiskErrorKind, operation: Operation, path: &Path) -> Self {
        Self { kind, operation, path: path.to_path_buf() }
    }

    /// From the standard library's error.
    pub fn from_io(error: &io::Error, operation: Operation, path: &Path) -> Self {
        Self::new(DiskErrorKind::from_io(error), operation, path)
    }

    /// The same error with this path when it had none.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        if self.path.as_os_str().is_empty() {
            self.path = path.to_path_buf();
        }
        self
    }

    /// True when the condition can pass by itself (a full disk, no descriptors): the log directory
    /// stays online. Every other failed write or sync takes it offline.
    pub fn heals(&self) -> bool {
        matches!(self.kind, DiskErrorKind::NoSpace | DiskErrorKind::TooManyFiles)
            && self.operation != Operation::Sync
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        let kind = match error.kind {
            DiskErrorKind::NotFound => io::ErrorKind::NotFound,
            DiskErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            DiskErrorKind::NoSpace => io::ErrorKind::StorageFull,
            DiskErrorKind::Permission => io::ErrorKind::PermissionDenied,
            DiskErrorKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            DiskErrorKind::UnexpectedEnd => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl DiskErrorKind {
    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::InvalidFilename => Self::NameTooLong,
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::WrongType,
            io::ErrorKind::UnexpectedEof => Self::UnexpectedEnd,
            io::ErrorKind::CrossesDevices => Self::AcrossDirectories,
            _ => match error.raw_os_error() {
                Some(EMFILE | ENFILE) => Self::TooManyFiles,
                Some(ENAMETOOLONG) => Self::NameTooLong,
                errno => Self::Io { errno: errno.unwrap_or(0) },
            },
        }
    }
}

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();
const ENAMETOOLONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();
