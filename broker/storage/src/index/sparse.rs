//! What the offset and the time index share: fixed-width entries, sorted, the newest in memory.

use std::fmt::Debug;
use std::io::IoSlice;
use std::path::Path;

use crate::disk::{Access, Disk, DiskError, DiskFile};

/// Entries gathered in memory before they are written out in one go.
const TAIL_ENTRIES_MAX: usize = 128;

/// Entries that a search reads at once when it has narrowed the file down to so few.
const BLOCK_ENTRIES: u32 = 256;

/// A fixed-width entry; each one follows the one before in every field.
pub(crate) trait Entry: Copy + Debug {
    /// Its bytes on disk.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + Default;

    /// How many bytes an entry has.
    const WIDTH: usize;

    fn encode(&self) -> Self::Bytes;
    fn decode(bytes: Self::Bytes) -> Self;
    fn follows(&self, previous: &Self) -> bool;
}

/// A sorted list of entries: the first `spilled` in the file, the rest in memory.
#[derive(Clone, Debug)]
pub(crate) struct SparseIndex<E> {
    spilled: u32,
    tail: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> SparseIndex<E> {
    /// An index without entries; its file may not exist yet.
    pub(crate) fn empty() -> Self {
        Self { spilled: 0, tail: Vec::new(), last: None }
    }

    /// Takes over the entries of a file. None when the file is missing or visibly not an index
    /// (wrong length, last entry not after the first): it has to be rebuilt.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, DiskError> {
        if !disk.exists(path)? {
            return Ok(None);
        }
        let file = disk.open(path, Access::Read)?;
        let len = file.len()?;
        if len % E::WIDTH as u64 != 0 {
            return Ok(None);
        }
        let Ok(spilled) = u32::try_from(len / E::WIDTH as u64) else { return Ok(None) };
        if spilled == 0 {
            return Ok(Some(Self::empty()));
        }
        let first = read_entry::<E>(file.as_ref(), 0).map_err(|error| error.at(path))?;
        let last = read_entry::<E>(file.as_ref(), spilled - 1).map_err(|error| error.at(path))?;
        if spilled > 1 && !last.follows(&first) {
            return Ok(None);
        }
        Ok(Some(Self { spilled, tail: Vec::new(), last: Some(last) }))
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> u32 {
        self.spilled.saturating_add(u32::try_from(self.tail.len()).unwrap_or(u32::MAX))
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Adds an entry when it follows the newest one; says whether it did.
    pub(crate) fn push(&mut self, entry: E) -> bool {
        if self.last.is_some_and(|last| !entry.follows(&last)) {
            return false;
        }
        self.tail.push(entry);
        self.last = Some(entry);
        true
    }

    /// Whether enough entries have gathered in memory to write them out.
    pub(crate) fn wants_spill(&self) -> bool {
        self.tail.len() >= TAIL_ENTRIES_MAX
    }

    /// Writes the entries in memory behind those in the file, cutting off whatever else it has.
    pub(crate) fn spill(&mut self, disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
        let file = disk.open(path, Access::Create)?;
        let at = u64::from(self.spilled) * E::WIDTH as u64;
        let mut bytes = Vec::with_capacity(self.tail.len() * E::WIDTH);
        for entry in &self.tail {
            bytes.extend_from_slice(entry.encode().as_ref());
        }
        if file.len()? > at {
            file.truncate(at)?;
        }
        if !bytes.is_empty() {
            file.write_all_at(&[IoSlice::new(&bytes)], at)?;
        }
        self.spilled = self.entries();
        self.tail = Vec::new();
        Ok(())
    }

    /// The newest entry for which `before` holds, given that it holds for a prefix only.
    pub(crate) fn search(
        &self,
        disk: &dyn Disk,
        path: &Path,
        before: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, DiskError> {
        let in_tail = self.tail.partition_point(&before);
        if let Some(found) = in_tail.checked_sub(1).and_then(|at| self.tail.get(at)) {
            return Ok(Some(*found));
        }
        if self.spilled == 0 {
            return Ok(None);
        }
        let file = disk.open(path, Access::Read)?;
        search_file(file.as_ref(), self.spilled, before).map_err(|error| error.at(path))
    }
}

fn read_entry<E: Entry>(file: &dyn DiskFile, at: u32) -> Result<E, DiskError> {
    let mut bytes = E::Bytes::default();
    file.read_exact_at(bytes.as_mut(), u64::from(at) * E::WIDTH as u64)?;
    Ok(E::decode(bytes))
}

/// Narrows the file down by single entries, then reads the remaining block at once.
fn search_file<E: Entry>(
    file: &dyn DiskFile,
    entries: u32,
    before: impl Fn(&E) -> bool,
) -> Result<Option<E>, DiskError> {
    // Invariant: `before` holds for all below `low` and for none at or above `high`.
    let (mut low, mut high) = (0, entries);
    let mut found = None;
    while high - low > BLOCK_ENTRIES {
        let middle = low + (high - low) / 2;
        let entry = read_entry::<E>(file, middle)?;
        if before(&entry) {
            found = Some(entry);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut block = vec![0; (high - low) as usize * E::WIDTH];
    file.read_exact_at(&mut block, u64::from(low) * E::WIDTH as u64)?;
    for bytes in block.chunks_exact(E::WIDTH) {
        let mut entry = E::Bytes::default();
        entry.as_mut().copy_from_slice(bytes);
        let entry = E::decode(entry);
        if !before(&entry) {
            break;
        }
        found = Some(entry);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
