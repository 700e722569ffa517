//! The simulated machine: inodes with a cached and a durable side, names likewise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::inode::{Change, Dir, File, Inode, apply};
use super::{Fault, Random};
use crate::disk::{DiskError, DiskErrorKind, Operation};

pub(super) const ROOT: u64 = 1;

pub(super) struct State {
    pub(super) random: Random,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) inode_next: u64,
    pub(super) locks: BTreeSet<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) faults: Vec<Fault>,
    pub(super) short_writes: bool,
    pub(super) calls: u64,
    pub(super) stop_at: Option<u64>,
    pub(super) down: bool,
    pub(super) boot: u64,
}

impl fmt::Debug for State {
    /// Without the bytes of every file, which would drown what the message is about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, calls, down, .. } = self;
        write!(f, "SimDisk {{ boot: {boot}, calls: {calls}, down: {down} }}")
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            inodes: BTreeMap::from([(ROOT, Inode::Dir(Dir::default()))]),
            inode_next: ROOT + 1,
            locks: BTreeSet::new(),
            capacity: None,
            faults: Vec::new(),
            short_writes: false,
            calls: 0,
            stop_at: None,
            down: false,
            boot: 0,
        }
    }

    pub(super) fn crash_after(&mut self, calls: u64) {
        self.stop_at = Some(self.calls.saturating_add(calls));
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    pub(super) fn set_short_writes(&mut self, short: bool) {
        self.short_writes = short;
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn used(&self) -> u64 {
        let size = |inode: &Inode| match inode {
            Inode::File(file) if file.links > 0 || file.handles > 0 => file.cache.len() as u64,
            _ => 0,
        };
        self.inodes.values().map(size).sum()
    }

    pub(super) fn flip(&mut self, path: &Path, offset: u64, mask: u8) -> Result<(), DiskError> {
        let inode = self.find(path, Operation::Write)?;
        let file = self.file(inode);
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        for side in [&mut file.cache, &mut file.durable] {
            if let Some(byte) = side.get_mut(at) {
                *byte ^= mask;
            }
        }
        Ok(())
    }

    // ---- bytes ----

    pub(super) fn check_handle(
        &mut self,
        boot: u64,
        operation: Operation,
        path: &Path,
    ) -> Result<(), DiskError> {
        if self.down || boot != self.boot {
            return Err(DiskError::new(DiskErrorKind::Crashed, operation, path));
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        inode: u64,
        buf: &mut [u8],
        offset: u64,
        path: &Path,
    ) -> Result<usize, DiskError> {
        self.check(Operation::Read, path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.file(inode).cache.get(start..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    pub(super) fn write(
        &mut self,
        inode: u64,
        buf: &[u8],
        offset: u64,
        path: &Path,
    ) -> Result<usize, DiskError> {
        let operation = Operation::Write;
        if buf.is_empty() {
            return Ok(0);
        }
        let stopped = self.change(operation, path);
        if let Err(error) = stopped.and_then(|()| self.check(operation, path)) {
            // The call may have come some way before it failed.
            let part = self.random.below(buf.len() as u64);
            self.file(inode).write(buf, offset, part);
            return Err(error);
        }
        let mut count = buf.len() as u64;
        if let Some(capacity) = self.capacity {
            let len = self.len(inode);
            let room = capacity.saturating_sub(self.used());
            let fits = len.max(offset).saturating_add(room).saturating_sub(offset);
            count = count.min(if offset <= len { fits } else { room });
            if count == 0 {
                return Err(DiskError::new(DiskErrorKind::NoSpace, operation, path));
            }
        }
        if self.short_writes && self.random.one_in(4) {
            count = 1 + self.random.below(count);
        }
        self.file(inode).write(buf, offset, count);
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        match self.inodes.get(&inode) {
            Some(Inode::File(file)) => file.cache.len() as u64,
            _ => 0,
        }
    }

    pub(super) fn truncate(&mut self, inode: u64, len: u64, path: &Path) -> Result<(), DiskError> {
        self.change(Operation::Truncate, path)?;
        self.check(Operation::Truncate, path)?;
        self.file(inode).set_len(len);
        Ok(())
    }

    pub(super) fn preallocate(
        &mut self,
        inode: u64,
        len: u64,
        path: &Path,
    ) -> Result<(), DiskError> {
        self.change(Operation::Preallocate, path)?;
        self.check(Operation::Preallocate, path)?;
        let more = len.saturating_sub(self.len(inode));
        match self.capacity {
            Some(capacity) if self.used().saturating_add(more) > capacity => {
                Err(DiskError::new(DiskErrorKind::NoSpace, Operation::Preallocate, path))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn sync(&mut self, inode: u64, path: &Path) -> Result<(), DiskError> {
        self.change(Operation::Sync, path)?;
        let failed = self.check(Operation::Sync, path);
        let file = self.file(inode);
        if failed.is_err() {
            file.forget_dirty();
        } else {
            file.write_back();
        }
        failed
    }

    // ---- power ----

    pub(super) fn crash(&mut self) {
        let Self { random, inodes, .. } = self;
        for inode in inodes.values_mut() {
            match inode {
                Inode::Dir(dir) => dir.crash(random),
                Inode::File(file) => file.crash(random),
            }
        }
        self.keep_reachable();
        self.locks.clear();
        self.stop_at = None;
        self.down = false;
        self.boot += 1;
    }

    pub(super) fn write_back_some(&mut self) {
        let Self { random, inodes, .. } = self;
        for inode in inodes.values_mut() {
            match inode {
                Inode::Dir(dir) => dir.write_back_some(random),
                Inode::File(file) => file.write_back_some(random),
            }
        }
    }

    fn keep_reachable(&mut self) {
        let mut seen = BTreeSet::from([ROOT]);
        let mut todo = vec![ROOT];
        while let Some(at) = todo.pop() {
            if let Some(Inode::Dir(dir)) = self.inodes.get(&at) {
                todo.extend(dir.cache.values().copied().filter(|child| seen.insert(*child)));
            }
        }
        self.inodes.retain(|id, _| seen.contains(id));
        // The names have gone back in time, and the counts with them: no file has two names.
        for inode in self.inodes.values_mut() {
            if let Inode::File(file) = inode {
                file.links = 1;
            }
        }
    }

    // ---- the common ground ----

    /// Counts a changing call and stops the machine when its time has come.
    pub(super) fn change(&mut self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        self.calls += 1;
        if self.stop_at.is_some_and(|stop_at| self.calls >= stop_at) {
            self.down = true;
        }
        if self.down {
            return Err(DiskError::new(DiskErrorKind::Crashed, operation, path));
        }
        Ok(())
    }

    /// Answers a planned failure, or that the machine is down.
    pub(super) fn check(&mut self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        if self.down {
            return Err(DiskError::new(DiskErrorKind::Crashed, operation, path));
        }
        let text = path.to_string_lossy();
        for fault in &mut self.faults {
            if fault.operation != operation || !text.contains(&fault.path_part) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(DiskError::new(fault.kind, operation, path));
            }
        }
        Ok(())
    }

    pub(super) fn record(&mut self, parent: u64, change: Change) {
        let dir = self.dir(parent);
        apply(&mut dir.cache, &change);
        dir.pending.push(change);
    }

    #[expect(clippy::panic, reason = "a wrong inode is a bug of the simulator, which tests run")]
    pub(super) fn file(&mut self, inode: u64) -> &mut File {
        match self.inodes.get_mut(&inode) {
            Some(Inode::File(file)) => file,
            other => panic!("inode {inode} is no file: {other:?}"),
        }
    }

    #[expect(clippy::panic, reason = "a wrong inode is a bug of the simulator, which tests run")]
    pub(super) fn dir(&mut self, inode: u64) -> &mut Dir {
        match self.inodes.get_mut(&inode) {
            Some(Inode::Dir(dir)) => dir,
            other => panic!("inode {inode} is no directory: {other:?}"),
        }
    }
}
