//! A seeded simulator of a disk, its page cache and its failures. One seed replays one history.
//!
//! Fault model:
//! - `crash` loses power: of the bytes not synced a seeded subset of 512-byte sectors survives
//!   (none, all, or any mixture: torn writes, holes of zeros, lost truncations); of the created,
//!   renamed and removed names not synced a seeded prefix survives in each directory on its own;
//! - `crash_after` stops the machine in the middle of the n-th changing call from now;
//! - `inject` makes chosen calls fail. A failed sync marks the pages clean: what it should have
//!   made durable stays readable, no later sync writes it, and a crash loses it;
//! - `set_capacity` makes the disk full: writes first come out short, then fail;
//! - `set_short_writes` lets `write_at` write less than asked;
//! - `flip` damages a byte at rest.
//!
//! Nothing here reads a clock or hashes with a random seed. Calls from several threads are
//! safe but then their order, and so the history, is the scheduler's.

mod inode;
mod names;
mod random;
mod state;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use random::Random;
use state::State;

use super::{
    Access, DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, Operation, Space,
};

/// A planned failure: of the calls that match, `skip` succeed, then `times` fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call.
    pub operation: Operation,
    /// A part of the path; empty matches every path.
    pub path_part: String,
    /// Matching calls that still succeed.
    pub skip: u64,
    /// Failures after that; `u64::MAX` for ever.
    pub times: u64,
    /// What they answer.
    pub kind: DiskErrorKind,
}

impl Fault {
    /// The errno of a device error.
    pub const EIO: DiskErrorKind = DiskErrorKind::Io { errno: 5 };

    /// The `nth` (from 1) matching call fails once with EIO.
    pub fn nth(operation: Operation, nth: u64) -> Self {
        let skip = nth.saturating_sub(1);
        Self { operation, path_part: String::new(), skip, times: 1, kind: Self::EIO }
    }

    /// Every call of this kind whose path contains `path_part` fails with EIO.
    pub fn always(operation: Operation, path_part: &str) -> Self {
        let path_part = path_part.to_owned();
        Self { operation, path_part, skip: 0, times: u64::MAX, kind: Self::EIO }
    }
}

/// The simulated disk. Clones share it, as handles of one machine's disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk whose randomness comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// Power is lost and comes back: see the fault model. Open handles and locks of before are
    /// dead; planned faults and the capacity stay.
    pub fn crash(&self) {
        self.state().crash();
    }

    /// The machine stops within the `calls`-th changing call from now (1 is the next one);
    /// everything then answers `DiskErrorKind::Crashed` until `crash` brings power back.
    pub fn crash_after(&self, calls: u64) {
        self.state().crash_after(calls);
    }

    /// The kernel writes some of what is dirty back, as it may at any time, and promises nothing.
    pub fn write_back_some(&self) {
        self.state().write_back_some();
    }

    /// Whether a planned stop has happened.
    pub fn is_down(&self) -> bool {
        self.state().is_down()
    }

    /// Limits the bytes that files may hold together; None is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().set_capacity(bytes);
    }

    /// Bytes held by files that have a name or an open handle.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Lets writes come out short at random.
    pub fn set_short_writes(&self, short: bool) {
        self.state().set_short_writes(short);
    }

    /// Plans a failure.
    pub fn inject(&self, fault: Fault) {
        self.state().inject(fault);
    }

    /// Forgets all planned failures.
    pub fn clear_faults(&self) {
        self.state().clear_faults();
    }

    /// Changing calls so far (writes, truncations, names, syncs).
    pub fn calls(&self) -> u64 {
        self.state().calls()
    }

    /// The files of a directory as a power loss that spares nothing would leave them, by name.
    pub fn at_rest(&self, dir: &Path) -> BTreeMap<String, Vec<u8>> {
        self.state().at_rest(dir)
    }

    /// Damages one byte of a file in the cache and at rest by xor with `mask`.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> Result<(), DiskError> {
        self.state().flip(path, offset, mask)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    boot: u64,
    inode: u64,
    writable: bool,
    path: PathBuf,
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    boot: u64,
    inode: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().unlock(self.boot, self.inode);
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.state().close(self.boot, self.inode);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn DiskFile>, DiskError> {
        let (boot, inode) = self.state().open(path, access)?;
        let writable = access != Access::Read;
        Ok(Arc::new(SimFile { disk: self.clone(), boot, inode, writable, path: path.into() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.state().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.state().remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.state().remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.state().list(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.state().create_dir_all(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.state().exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.state().sync_dir(path)
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.state().space(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        let (boot, inode) = self.state().lock(path)?;
        Ok(Box::new(SimLock { disk: self.clone(), boot, inode }))
    }
}

impl SimFile {
    fn call<T>(
        &self,
        operation: Operation,
        run: impl FnOnce(&mut State) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let mut state = self.disk.state();
        state.check_handle(self.boot, operation, &self.path)?;
        run(&mut state)
    }

    fn check_writable(&self, operation: Operation) -> Result<(), DiskError> {
        if self.writable {
            Ok(())
        } else {
            // EBADF, as the kernel answers for a descriptor opened for reading.
            let kind = DiskErrorKind::Io { errno: rustix::io::Errno::BADF.raw_os_error() };
            Err(DiskError::new(kind, operation, &self.path))
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.call(Operation::Read, |state| state.read(self.inode, buf, offset, &self.path))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, DiskError> {
        self.check_writable(Operation::Write)?;
        self.call(Operation::Write, |state| state.write(self.inode, buf, offset, &self.path))
    }

    fn write_all_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<(), DiskError> {
        let mut offset = offset;
        for piece in pieces {
            let mut rest: &[u8] = piece;
            while !rest.is_empty() {
                let wrote = self.write_at(rest, offset)?;
                offset = offset.saturating_add(wrote as u64);
                rest = rest.get(wrote..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.call(Operation::Stat, |state| Ok(state.len(self.inode)))
    }

    fn truncate(&self, len: u64) -> Result<(), DiskError> {
        self.check_writable(Operation::Truncate)?;
        self.call(Operation::Truncate, |state| state.truncate(self.inode, len, &self.path))
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        self.check_writable(Operation::Preallocate)?;
        self.call(Operation::Preallocate, |state| state.preallocate(self.inode, len, &self.path))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.call(Operation::Sync, |state| state.sync(self.inode, &self.path))
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.sync_data()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests;
