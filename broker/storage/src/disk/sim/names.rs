//! Names on the simulated disk: opening, making, renaming, removing, listing, locking.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::inode::{Change, Dir, File, Inode, apply};
use super::state::{ROOT, State};
use crate::disk::{Access, DirEntry, DiskError, DiskErrorKind, Operation, Space};

/// The longest name of a file, as on Linux file systems.
const NAME_BYTES_MAX: usize = 255;

impl State {
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

    pub(super) fn space(&mut self, path: &Path) -> Result<Space, DiskError> {
        self.check(Operation::Stat, path)?;
        self.find(path, Operation::Stat)?;
        let total = self.capacity.unwrap_or(u64::MAX / 2);
        Ok(Space { total, free: total.saturating_sub(self.used()) })
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

    pub(super) fn find(&self, path: &Path, operation: Operation) -> Result<u64, DiskError> {
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

    /// What is durable of a directory's files, under the names that are.
    pub(super) fn at_rest(&self, path: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut at = Some(ROOT);
        let dir_at = |at| match self.inodes.get(&at) {
            Some(Inode::Dir(dir)) => Some(&dir.durable),
            _ => None,
        };
        for name in names_of(path) {
            at = at.and_then(dir_at).and_then(|names| names.get(&name)).copied();
        }
        let file = |(name, inode): (&String, &u64)| match self.inodes.get(inode) {
            Some(Inode::File(file)) => Some((name.clone(), file.durable.clone())),
            _ => None,
        };
        at.and_then(dir_at).map(|names| names.iter().filter_map(file).collect()).unwrap_or_default()
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
