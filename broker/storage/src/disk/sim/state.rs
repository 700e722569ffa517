//! The simulated machine: inodes with a cached and a durable side, names likewise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::inode::{Change, Dir, File, Inode, apply};
use super::{Fault, Random};
use crate::disk::{Access, DirEntry, DiskError, DiskErrorKind, Operation};

/// The longest name of a file, as on Linux file systems.
const NAME_BYTES_MAX: usize = 255;
const ROOT: u64 = 1;

#[derive(Debug)]
pub(super) struct State {
    random: Random,
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    locks: BTreeSet<u64>,
    capacity: Option<u64>,
    faults: Vec<Fault>,
    short_writes: bool,
    calls: u64,
    stop_at: Option<u64>,
    down: bool,
    boot: u64,
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

    // ---- names ----

    pub(super) fn open(&mut self, path: &Path, access: Access) -> Result<(u64, u64), DiskError> {
        let operation = Operation::Open;
        self.check(operation, path)?;
        let found = self.find(path, operation);
        let inode = match (found, access) {
            (Ok(_), Access::CreateNew) => {
                return Err(DiskError::new(DiskErrorKind::AlreadyExists, operation, path));
            }
            (Ok(inode), _) => inode,
            (Err(error), Access::Read | Access::ReadWrite) => return Err(error),
            (Err(error), _) if error.kind == DiskErrorKind::NotFound => {
                self.change(operation, path)?;
                self.create(path, operation, Inode::File(File::default()))?
            }
            (Err(error), _) => return Err(error),
        };
        if matches!(self.inodes.get(&inode), Some(Inode::Dir(_))) {
            return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
        }
        if access == Access::CreateTruncate && self.len(inode) > 0 {
            self.truncate(inode, 0, path)?;
        }
        self.file(inode).handles += 1;
        Ok((self.boot, inode))
    }

    pub(super) fn close(&mut self, boot: u64, inode: u64) {
        if boot != self.boot {
            return;
        }
        if let Some(Inode::File(file)) = self.inodes.get_mut(&inode) {
            file.handles = file.handles.saturating_sub(1);
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let operation = Operation::Rename;
        if from.parent() != to.parent() {
            return Err(DiskError::new(DiskErrorKind::AcrossDirectories, operation, from));
        }
        self.check(operation, from)?;
        let inode = self.find(from, operation)?;
        let (parent, to_name) = self.parent(to, operation)?;
        let from_name = name_of(from, operation)?;
        if from_name == to_name {
            return Ok(());
        }
        let taken = self.dir(parent).cache.get(&to_name).copied();
        let source_is_file = matches!(self.inodes.get(&inode), Some(Inode::File(_)));
        let target_fits = match taken.and_then(|taken| self.inodes.get(&taken)) {
            None => true,
            Some(Inode::File(_)) => source_is_file,
            Some(Inode::Dir(dir)) => !source_is_file && dir.cache.is_empty(),
        };
        if !target_fits {
            return Err(DiskError::new(DiskErrorKind::WrongType, operation, to));
        }
        self.change(operation, from)?;
        if let Some(Inode::File(file)) = taken.and_then(|taken| self.inodes.get_mut(&taken)) {
            file.links = file.links.saturating_sub(1);
        }
        self.record(parent, Change::Rename { from: from_name, to: to_name });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::Remove;
        self.check(operation, path)?;
        let inode = self.find(path, operation)?;
        if matches!(self.inodes.get(&inode), Some(Inode::Dir(_))) {
            return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
        }
        self.change(operation, path)?;
        let (parent, name) = self.parent(path, operation)?;
        self.unlink(parent, name, inode);
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::Remove;
        self.check(operation, path)?;
        let inode = self.find(path, operation)?;
        let Some(Inode::Dir(dir)) = self.inodes.get(&inode) else {
            return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
        };
        let children: Vec<(String, u64)> = dir.cache.clone().into_iter().collect();
        for (name, child) in children {
            if matches!(self.inodes.get(&child), Some(Inode::Dir(_))) {
                self.remove_dir_all(&path.join(&name))?;
            } else {
                self.change(operation, path)?;
                self.unlink(inode, name, child);
            }
        }
        self.change(operation, path)?;
        let (parent, name) = self.parent(path, operation)?;
        self.record(parent, Change::Unlink { name });
        Ok(())
    }

    pub(super) fn list(&mut self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.check(Operation::List, path)?;
        let inode = self.find(path, Operation::List)?;
        let Some(Inode::Dir(dir)) = self.inodes.get(&inode) else {
            return Err(DiskError::new(DiskErrorKind::WrongType, Operation::List, path));
        };
        let entry = |(name, child): (&String, &u64)| DirEntry {
            name: name.clone(),
            is_dir: matches!(self.inodes.get(child), Some(Inode::Dir(_))),
        };
        Ok(dir.cache.iter().map(entry).collect())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::CreateDir;
        self.check(operation, path)?;
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            match self.find(ancestor, operation) {
                Ok(inode) if matches!(self.inodes.get(&inode), Some(Inode::Dir(_))) => {}
                Ok(_) => {
                    return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
                }
                Err(error) if error.kind == DiskErrorKind::NotFound => {
                    self.change(operation, path)?;
                    self.create(ancestor, operation, Inode::Dir(Dir::default()))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn exists(&mut self, path: &Path) -> Result<bool, DiskError> {
        self.check(Operation::Stat, path)?;
        match self.find(path, Operation::Stat) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> Result<(), DiskError> {
        let operation = Operation::Sync;
        let inode = self.find(path, operation)?;
        if !matches!(self.inodes.get(&inode), Some(Inode::Dir(_))) {
            return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
        }
        self.change(operation, path)?;
        let failed = self.check(operation, path);
        let dir = self.dir(inode);
        let pending = std::mem::take(&mut dir.pending);
        failed?;
        for change in &pending {
            apply(&mut dir.durable, change);
        }
        Ok(())
    }

    pub(super) fn free_space(&mut self, path: &Path) -> Result<u64, DiskError> {
        self.check(Operation::Stat, path)?;
        self.find(path, Operation::Stat)?;
        Ok(self.capacity.map_or(u64::MAX / 2, |bytes| bytes.saturating_sub(self.used())))
    }

    pub(super) fn lock(&mut self, path: &Path) -> Result<(u64, u64), DiskError> {
        self.check(Operation::Lock, path)?;
        let (boot, inode) = self.open(path, Access::Create)?;
        if !self.locks.insert(inode) {
            self.close(boot, inode);
            return Err(DiskError::new(DiskErrorKind::Locked, Operation::Lock, path));
        }
        Ok((boot, inode))
    }

    pub(super) fn unlock(&mut self, boot: u64, inode: u64) {
        if boot == self.boot {
            self.locks.remove(&inode);
            self.close(boot, inode);
        }
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
    fn change(&mut self, operation: Operation, path: &Path) -> Result<(), DiskError> {
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
    fn check(&mut self, operation: Operation, path: &Path) -> Result<(), DiskError> {
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

    fn find(&self, path: &Path, operation: Operation) -> Result<u64, DiskError> {
        let mut at = ROOT;
        for name in names_of(path) {
            if name.len() > NAME_BYTES_MAX {
                return Err(DiskError::new(DiskErrorKind::NameTooLong, operation, path));
            }
            let Some(Inode::Dir(dir)) = self.inodes.get(&at) else {
                return Err(DiskError::new(DiskErrorKind::WrongType, operation, path));
            };
            let missing = || DiskError::new(DiskErrorKind::NotFound, operation, path);
            at = *dir.cache.get(&name).ok_or_else(missing)?;
        }
        Ok(at)
    }

    fn parent(&self, path: &Path, operation: Operation) -> Result<(u64, String), DiskError> {
        let name = name_of(path, operation)?;
        let parent = self.find(path.parent().unwrap_or(Path::new("/")), operation)?;
        match self.inodes.get(&parent) {
            Some(Inode::Dir(_)) if name.len() <= NAME_BYTES_MAX => Ok((parent, name)),
            Some(Inode::Dir(_)) => Err(DiskError::new(DiskErrorKind::NameTooLong, operation, path)),
            _ => Err(DiskError::new(DiskErrorKind::WrongType, operation, path)),
        }
    }

    fn create(
        &mut self,
        path: &Path,
        operation: Operation,
        mut inode: Inode,
    ) -> Result<u64, DiskError> {
        let (parent, name) = self.parent(path, operation)?;
        if self.capacity.is_some_and(|capacity| self.used() >= capacity) {
            return Err(DiskError::new(DiskErrorKind::NoSpace, operation, path));
        }
        if let Inode::File(file) = &mut inode {
            file.links = 1;
        }
        let id = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(id, inode);
        self.record(parent, Change::Link { name, inode: id });
        Ok(id)
    }

    fn unlink(&mut self, parent: u64, name: String, inode: u64) {
        let file = self.file(inode);
        file.links = file.links.saturating_sub(1);
        self.record(parent, Change::Unlink { name });
    }

    fn record(&mut self, parent: u64, change: Change) {
        let dir = self.dir(parent);
        apply(&mut dir.cache, &change);
        dir.pending.push(change);
    }

    #[expect(clippy::panic, reason = "a wrong inode is a bug of the simulator, which tests run")]
    fn file(&mut self, inode: u64) -> &mut File {
        match self.inodes.get_mut(&inode) {
            Some(Inode::File(file)) => file,
            other => panic!("inode {inode} is no file: {other:?}"),
        }
    }

    #[expect(clippy::panic, reason = "a wrong inode is a bug of the simulator, which tests run")]
    fn dir(&mut self, inode: u64) -> &mut Dir {
        match self.inodes.get_mut(&inode) {
            Some(Inode::Dir(dir)) => dir,
            other => panic!("inode {inode} is no directory: {other:?}"),
        }
    }
}

fn names_of(path: &Path) -> impl Iterator<Item = String> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

fn name_of(path: &Path, operation: Operation) -> Result<String, DiskError> {
    let unnamed = || DiskError::new(DiskErrorKind::WrongType, operation, path);
    names_of(path).last().ok_or_else(unnamed)
}
