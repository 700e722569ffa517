//! Files and directories of the simulated disk: what reads see, and what a power loss leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::Random;

/// What the device writes as a whole.
const SECTOR_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) enum Inode {
    File(File),
    Dir(Dir),
}

#[derive(Debug, Default)]
pub(super) struct File {
    /// What reads see.
    pub(super) cache: Vec<u8>,
    /// What a power loss leaves for certain.
    pub(super) durable: Vec<u8>,
    /// Sectors of the cache that no sync has covered.
    dirty: BTreeSet<u64>,
    /// The shortest length since the last sync, if it was ever cut.
    cut: Option<u64>,
    pub(super) links: u32,
    pub(super) handles: u32,
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) cache: BTreeMap<String, u64>,
    pub(super) durable: BTreeMap<String, u64>,
    pub(super) pending: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Link { name: String, inode: u64 },
    Unlink { name: String },
    Rename { from: String, to: String },
}

pub(super) fn apply(names: &mut BTreeMap<String, u64>, change: &Change) {
    match change {
        Change::Link { name, inode } => {
            names.insert(name.clone(), *inode);
        }
        Change::Unlink { name } => {
            names.remove(name);
        }
        Change::Rename { from, to } => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl Dir {
    /// Makes the first few changes of names durable: none, all, or any number.
    pub(super) fn write_back_some(&mut self, random: &mut Random) {
        let all = self.pending.len() as u64;
        let some = match random.below(3) {
            0 => 0,
            1 => all,
            _ => random.below(all + 1),
        };
        let some = usize::try_from(some).unwrap_or(usize::MAX).min(self.pending.len());
        for change in self.pending.drain(..some) {
            apply(&mut self.durable, &change);
        }
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        self.write_back_some(random);
        self.pending.clear();
        self.cache = self.durable.clone();
    }
}

impl File {
    /// Writes `count` bytes of `buf` into the cache.
    pub(super) fn write(&mut self, buf: &[u8], offset: u64, count: u64) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(buf.len());
        if count == 0 {
            return;
        }
        let end = start.saturating_add(count);
        // A gap between the old end and this write reads as zeros and is as little durable.
        let changed_from = start.min(self.cache.len()) as u64;
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        if let (Some(to), Some(from)) = (self.cache.get_mut(start..end), buf.get(..count)) {
            to.copy_from_slice(from);
        }
        self.dirty.extend(changed_from / SECTOR_BYTES..(end as u64).div_ceil(SECTOR_BYTES));
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let old = self.cache.len() as u64;
        self.cache.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        if len < old {
            self.cut = Some(self.cut.map_or(len, |cut| cut.min(len)));
            self.dirty.split_off(&len.div_ceil(SECTOR_BYTES));
        } else {
            self.dirty.extend(old / SECTOR_BYTES..len.div_ceil(SECTOR_BYTES));
        }
    }

    /// A sync that succeeds.
    pub(super) fn write_back(&mut self) {
        if let Some(cut) = self.cut.take() {
            self.durable.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
        }
        self.durable.resize(self.cache.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.cache, &mut self.durable, sector);
        }
    }

    /// A sync that fails: the pages count as clean and no later sync writes them.
    pub(super) fn forget_dirty(&mut self) {
        self.cut = None;
        self.dirty.clear();
    }

    /// Makes some dirty sectors durable, and the length that they need.
    pub(super) fn write_back_some(&mut self, random: &mut Random) {
        if random.one_in(2) {
            return;
        }
        if let Some(cut) = self.cut.take() {
            self.durable.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
        }
        let (cache, durable) = (&self.cache, &mut self.durable);
        self.dirty.retain(|sector| {
            let stays = random.one_in(2);
            if !stays {
                let end = (sector + 1).saturating_mul(SECTOR_BYTES);
                let end = usize::try_from(end).unwrap_or(usize::MAX).min(cache.len());
                if durable.len() < end {
                    durable.resize(end, 0);
                }
                copy_sector(cache, durable, *sector);
            }
            stays
        });
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => {}
            1 => self.survive(random, 1),
            _ => self.survive(random, 2),
        }
        self.dirty.clear();
        self.cut = None;
        self.handles = 0;
        self.cache = self.durable.clone();
    }

    /// Writes back one of `one_in` dirty sectors and, as likely, the new length.
    fn survive(&mut self, random: &mut Random, one_in: u64) {
        if let Some(cut) = self.cut
            && random.one_in(one_in)
        {
            self.durable.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
        }
        let grown = (self.cache.len() as u64).saturating_sub(self.durable.len() as u64);
        if grown > 0 && !self.dirty.is_empty() {
            let more = if random.one_in(one_in) { grown } else { random.below(grown + 1) };
            let len = self.durable.len().saturating_add(usize::try_from(more).unwrap_or(0));
            self.durable.resize(len, 0);
        }
        for sector in &self.dirty {
            if random.one_in(one_in) {
                copy_sector(&self.cache, &mut self.durable, *sector);
            }
        }
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: u64) {
    let start = usize::try_from(sector * SECTOR_BYTES).unwrap_or(usize::MAX);
    let bytes = usize::try_from(SECTOR_BYTES).unwrap_or(0);
    let end = start.saturating_add(bytes).min(from.len()).min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(start..end), from.get(start..end)) {
        to.copy_from_slice(from);
    }
}
