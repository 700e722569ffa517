//! The list of a log's segments: finds batches in them and holds the few files that stay open.
//!
//! Segments only know bytes and positions. Which batch may be appended, read or deleted is decided
//! by `log`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskError, DiskErrorKind, DiskFile};
use crate::error::{Corruption, ReadError};
use crate::index::SparseIndex;
use crate::segment::{self, Indexes, Segment};
use crate::walk::{Found, Step, Walk};

/// A log's segments, oldest first; the last one is active. Never empty once the log is open.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// `index.interval.bytes` when an index has to be built anew.
    interval_bytes: u32,
    list: Vec<Segment>,
    files: Mutex<OpenFiles>,
    /// The first corruption that a read found.
    corruption: Mutex<Option<Corruption>>,
}

/// Descriptors that stay open: the active segment's, and the last closed one that was read.
#[derive(Debug, Default)]
struct OpenFiles {
    active: Option<(i64, Arc<dyn DiskFile>)>,
    closed: Option<(i64, Arc<dyn DiskFile>)>,
}

/// A lock here guards plain values that are whole after every statement, so a panic elsewhere
/// leaves nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segments {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        interval_bytes: u32,
        list: Vec<Segment>,
    ) -> Self {
        let files = Mutex::default();
        Self { disk, dir, interval_bytes, list, files, corruption: Mutex::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.list.iter()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Segment> {
        self.list.get(at)
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut Segment> {
        self.list.get_mut(at)
    }

    pub(crate) fn active(&self) -> Option<&Segment> {
        self.list.last()
    }

    pub(crate) fn active_mut(&mut self) -> Option<&mut Segment> {
        self.list.last_mut()
    }

    /// Base offset of the active segment.
    pub(crate) fn active_base(&self) -> i64 {
        self.active().map_or(0, |segment| segment.base)
    }

    /// The base offset of the segment behind this one.
    pub(crate) fn next_base(&self, at: usize) -> Option<i64> {
        self.list.get(at.checked_add(1)?).map(|segment| segment.base)
    }

    /// The segment that holds `offset`, or the nearest before it.
    pub(crate) fn find(&self, offset: i64) -> usize {
        self.list.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// Adds a segment; it is the active one now.
    pub(crate) fn push(&mut self, segment: Segment, file: Arc<dyn DiskFile>) {
        let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
        files.closed = files.active.replace((segment.base, file));
        self.list.push(segment);
    }

    /// Takes the oldest `count` segments off the list.
    pub(crate) fn drain_front(&mut self, count: usize) -> Vec<Segment> {
        self.forget_files();
        self.list.drain(..count.min(self.list.len())).collect()
    }

    /// Takes the segments from `at` on off the list.
    pub(crate) fn split_off(&mut self, at: usize) -> Vec<Segment> {
        self.forget_files();
        self.list.split_off(at.min(self.list.len()))
    }

    /// Closes the descriptors that are held for reads of closed segments.
    pub(crate) fn close_idle_files(&self) {
        locked(&self.files).closed = None;
    }

    fn forget_files(&mut self) {
        *self.files.get_mut().unwrap_or_else(PoisonError::into_inner) = OpenFiles::default();
    }

    pub(crate) fn path(&self, base: i64, extension: &str) -> PathBuf {
        self.dir.join(segment::file_name(base, extension))
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// The first corruption that a read found.
    pub(crate) fn corruption(&self) -> Option<Corruption> {
        *locked(&self.corruption)
    }

    /// The segment's file, opened if need be.
    pub(crate) fn file(&self, at: usize) -> Result<Arc<dyn DiskFile>, DiskError> {
        let base = self.list.get(at).map_or(0, |segment| segment.base);
        let is_active = at + 1 == self.list.len();
        let mut files = locked(&self.files);
        let slot = if is_active { &mut files.active } else { &mut files.closed };
        if let Some((_, file)) = slot.as_ref().filter(|(held, _)| *held == base) {
            return Ok(Arc::clone(file));
        }
        let access = if is_active { Access::ReadWrite } else { Access::Read };
        let file = self.disk.open(&self.path(base, segment::LOG), access)?;
        *slot = Some((base, Arc::clone(&file)));
        Ok(file)
    }

    /// The segment's indexes, read or built anew if need be.
    pub(crate) fn indexes(&self, at: usize) -> Result<Option<&Indexes>, DiskError> {
        let Some(segment) = self.list.get(at) else { return Ok(None) };
        if let Some(indexes) = segment.indexes.get() {
            return Ok(Some(indexes));
        }
        let indexes = match self.load_indexes(segment)? {
            Some(indexes) => indexes,
            None => self.build_indexes(at, segment)?,
        };
        Ok(Some(segment.indexes.get_or_init(|| indexes)))
    }

    /// Throws a segment's indexes away and builds them anew.
    pub(crate) fn rebuild_indexes(&self, at: usize) -> Result<(), DiskError> {
        if let Some(segment) = self.list.get(at) {
            let indexes = self.build_indexes(at, segment)?;
            segment.indexes.get_or_init(|| indexes);
        }
        Ok(())
    }

    /// The indexes as the files have them; None when a file is missing or makes no sense.
    pub(crate) fn load_indexes(&self, segment: &Segment) -> Result<Option<Indexes>, DiskError> {
        let offsets = SparseIndex::load(self.disk(), &self.path(segment.base, segment::INDEX))?;
        let times = SparseIndex::load(self.disk(), &self.path(segment.base, segment::TIME_INDEX))?;
        let (Some(offsets), Some(times)) = (offsets, times) else { return Ok(None) };
        let indexes = Indexes::resume(segment.base, offsets, times);
        let beyond =
            indexes.offsets.last().is_some_and(|entry| u64::from(entry.position) >= segment.size);
        Ok((!beyond).then_some(indexes))
    }

    /// Builds a segment's indexes from its batches' headers and writes them.
    fn build_indexes(&self, at: usize, segment: &Segment) -> Result<Indexes, DiskError> {
        let file = self.file(at)?;
        let mut walk = Walk::headers(file.as_ref(), 0, segment.size).with_offset_min(segment.base);
        let mut indexes = Indexes::empty();
        while let Step::Batch(found) = walk.step()? {
            indexes.note(segment.base, &found, self.interval_bytes);
        }
        indexes.push_time(segment.base);
        let base = segment.base;
        self.write_or_keep(base, indexes, |written| self.replace_indexes(base, written))
    }

    /// Replaces the index files of a segment that no start reads again, so that after any crash
    /// there are no half ones: whole ones or none.
    fn replace_indexes(&self, base: i64, indexes: &mut Indexes) -> Result<(), DiskError> {
        let files = [segment::INDEX, segment::TIME_INDEX].map(|extension| {
            let name = segment::file_name(base, extension);
            (self.dir.join(format!("{name}.tmp")), self.dir.join(name))
        });
        let [(offsets, _), (times, _)] = &files;
        let written = indexes.offsets.spill(self.disk(), offsets);
        if let Err(error) = written.and_then(|()| indexes.times.spill(self.disk(), times)) {
            for (tmp, _) in &files {
                let _ = self.disk.remove_file(tmp);
            }
            return Err(error);
        }
        for (tmp, name) in &files {
            self.disk.open(tmp, Access::ReadWrite)?.sync_data()?;
            self.disk.rename(tmp, name)?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Takes a segment's index files away, if it has any, and durably.
    pub(crate) fn remove_indexes(&self, base: i64) -> Result<(), DiskError> {
        for extension in [segment::INDEX, segment::TIME_INDEX] {
            match self.disk.remove_file(&self.path(base, extension)) {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Writes the complete indexes of a closed segment. When there is no space for them they serve
    /// from memory, all of them, and are built anew when they are next wanted.
    pub(crate) fn write_or_keep(
        &self,
        base: i64,
        indexes: Indexes,
        write: impl FnOnce(&mut Indexes) -> Result<(), DiskError>,
    ) -> Result<Indexes, DiskError> {
        let mut written = indexes.clone();
        match write(&mut written) {
            Ok(()) => Ok(written),
            Err(error) if error.heals() => {
                for extension in [segment::INDEX, segment::TIME_INDEX] {
                    let _ = self.disk.remove_file(&self.path(base, extension));
                }
                Ok(indexes)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the bytes of both index files durable. Needed where the recovery point may lie behind
    /// the segment already: no start reads the records again, so nothing would tell a torn index.
    pub(crate) fn sync_indexes(&self, base: i64) -> Result<(), DiskError> {
        for extension in [segment::INDEX, segment::TIME_INDEX] {
            self.disk.open(&self.path(base, extension), Access::ReadWrite)?.sync_data()?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Writes what the indexes have only in memory.
    pub(crate) fn write_indexes(&self, base: i64, indexes: &mut Indexes) -> Result<(), DiskError> {
        indexes.offsets.spill(self.disk(), &self.path(base, segment::INDEX))?;
        indexes.times.spill(self.disk(), &self.path(base, segment::TIME_INDEX))
    }

    /// The first batch of a segment whose last offset is at least `offset`.
    pub(crate) fn locate(&self, at: usize, offset: i64) -> Result<Option<Found>, ReadError> {
        let Some(segment) = self.list.get(at).filter(|segment| segment.size > 0) else {
            return self.broken(at).map_or(Ok(None), |corruption| Err(corruption.into()));
        };
        let from = self.position_before(at, offset)?;
        let file = self.file(at)?;
        let mut walk =
            Walk::headers(file.as_ref(), from, segment.size).with_offset_min(segment.base);
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.last_offset() >= offset => {
                    return Ok(Some(found));
                }
                Step::Batch(_) => {}
                Step::End => {
                    return self.broken(at).map_or(Ok(None), |corruption| Err(corruption.into()));
                }
                Step::Bad { position } => {
                    // What is sound behind it is served all the same.
                    let bad = walk.offset_min();
                    let mut behind =
                        Walk::verifying(file.as_ref(), position, segment.size).with_offset_min(bad);
                    match behind.resync()? {
                        Some(found) if found.header.base_offset > offset => {
                            return Err(self.note_corruption(segment, position, bad).into());
                        }
                        Some(found) if found.header.last_offset() >= offset => {
                            return Ok(Some(found));
                        }
                        Some(found) => {
                            walk = Walk::headers(file.as_ref(), found.end(), segment.size)
                                .with_offset_min(found.header.next_offset());
                        }
                        None => {
                            return Err(self.note_corruption(segment, position, bad).into());
                        }
                    }
                }
            }
        }
    }

    fn broken(&self, at: usize) -> Option<Corruption> {
        let broken = self.list.get(at)?.broken?;
        locked(&self.corruption).get_or_insert(broken);
        Some(broken)
    }

    fn position_before(&self, at: usize, offset: i64) -> Result<u64, DiskError> {
        let Some((segment, indexes)) = self.list.get(at).zip(self.indexes(at)?) else {
            return Ok(0);
        };
        let path = self.path(segment.base, segment::INDEX);
        let entry = indexes.offsets.search(self.disk(), &path, |entry| {
            segment.base.saturating_add(i64::from(entry.relative)) <= offset
        })?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// The last boundary between batches at or before `limit`, walking from `first`, and the offset
    /// behind it. `first` itself when it does not fit.
    pub(crate) fn boundary(
        &self,
        at: usize,
        first: &Found,
        limit: u64,
    ) -> Result<(u64, i64), ReadError> {
        let none = (first.position, first.header.base_offset);
        let Some((segment, indexes)) = self.list.get(at).zip(self.indexes(at)?) else {
            return Ok(none);
        };
        let path = self.path(segment.base, segment::INDEX);
        let entry = indexes
            .offsets
            .search(self.disk(), &path, |entry| u64::from(entry.position) <= limit)?;
        let from = entry.map_or(0, |entry| u64::from(entry.position)).max(first.position);
        let file = self.file(at)?;
        let mut walk =
            Walk::headers(file.as_ref(), from, segment.size).with_offset_min(segment.base);
        let mut boundary = none;
        loop {
            match walk.step()? {
                Step::Batch(found) => {
                    if found.position > boundary.0 {
                        boundary = (found.position, found.header.base_offset);
                    }
                    if found.end() > limit {
                        return Ok(boundary);
                    }
                    boundary = (found.end(), found.header.next_offset());
                }
                // A bad batch ends what can be read before it; the next read meets it.
                Step::End | Step::Bad { .. } => return Ok(boundary),
            }
        }
    }

    /// Checks the CRCs of `from..to` unless that was done before. Returns how far the bytes are
    /// sound: `to`, or the position of the first bad batch.
    pub(crate) fn verify(&self, at: usize, from: u64, to: u64) -> Result<u64, DiskError> {
        let Some(segment) = self.list.get(at) else { return Ok(from) };
        if locked(&segment.verified).covers(from, to) {
            return Ok(to);
        }
        let file = self.file(at)?;
        let mut walk = Walk::verifying(file.as_ref(), from, to).with_offset_min(segment.base);
        loop {
            match walk.step()? {
                Step::Batch(_) => {}
                Step::End => {
                    locked(&segment.verified).add(from, to);
                    return Ok(to);
                }
                Step::Bad { position } => {
                    locked(&segment.verified).add(from, position);
                    self.note_corruption(segment, position, walk.offset_min());
                    return Ok(position);
                }
            }
        }
    }

    pub(crate) fn note_corruption(
        &self,
        segment: &Segment,
        position: u64,
        offset: i64,
    ) -> Corruption {
        let corruption = Corruption::bad_bytes(segment.base, position, offset);
        locked(&self.corruption).get_or_insert(corruption);
        corruption
    }
}
