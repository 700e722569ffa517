//! Cutting a torn tail off, and keeping what is cut.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use wire::ids::Offset;

use super::{Log, RecoveryReport};
use crate::disk::{Access, DiskError, DiskFile};
use crate::error::LogError;
use crate::index::txn;
use crate::segment;
use crate::walk::sound_upto;

/// Bytes compared or copied at once when a tail is cut.
const COPY_BYTES: usize = 1 << 20;

/// A torn tail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// Base offset of the segment it was in.
    pub segment: Offset,
    /// Where in the segment's file it began.
    pub position: u64,
    /// The first offset that is lost.
    pub lost_from: Offset,
    /// The offset behind the last sound batch that was cut, if there was one: acknowledged records
    /// may be among the lost.
    pub lost_upto: Option<Offset>,
    /// How many bytes it had.
    pub bytes: u64,
    /// Where they were kept, unless all of them were zeros (or the disk is full).
    pub kept: Option<PathBuf>,
}

impl Log {
    /// Cuts a torn tail: the rest of this segment and all later ones.
    pub(super) fn cut_tail(
        &mut self,
        at: usize,
        position: u64,
        report: &mut RecoveryReport,
    ) -> Result<(), LogError> {
        for later in self.segments.split_off(at + 1) {
            report.cut.extend(self.keep_tail(later.base, 0, later.size, later.base)?);
            for extension in [segment::LOG, segment::INDEX, segment::TIME_INDEX, txn::EXTENSION] {
                let path = self.segments.path(later.base, extension);
                if self.disk.exists(&path)? {
                    self.disk.remove_file(&path)?;
                }
            }
        }
        let Some(segment) = self.segments.get_mut(at) else { return Ok(()) };
        let (base, size) = (segment.base, segment.size);
        segment.size = position;
        report.cut.extend(self.keep_tail(base, position, size, self.end)?);
        // Later segments are gone: this one is active now and opened for writing.
        let file = self.segments.file(at)?;
        file.truncate(position)?;
        // What was cut must not come back behind records that are appended from now on.
        file.sync_data()?;
        self.disk.sync_dir(&self.dir)?;
        report.cut.sort_by_key(|cut| cut.segment);
        Ok(())
    }

    /// Copies what will be cut into `<base20>.log.corrupt`, unless it is all zeros.
    fn keep_tail(
        &self,
        base: i64,
        position: u64,
        size: u64,
        lost_from: i64,
    ) -> Result<Option<CutTail>, LogError> {
        if size <= position {
            return Ok(None);
        }
        let file = self.disk.open(&self.segments.path(base, segment::LOG), Access::Read)?;
        let mut kept = None;
        if !is_zero(file.as_ref(), position, size)? {
            let path = self.segments.path(base, "log.corrupt");
            match self.copy_tail(file.as_ref(), position, size, &path) {
                Ok(()) => kept = Some(path),
                Err(error) if error.heals() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(CutTail {
            segment: Offset(base),
            position,
            lost_from: Offset(lost_from),
            lost_upto: sound_upto(file.as_ref(), position, size, lost_from)?.map(Offset),
            bytes: size - position,
            kept,
        }))
    }

    pub(super) fn copy_tail(
        &self,
        from: &dyn DiskFile,
        position: u64,
        size: u64,
        path: &Path,
    ) -> Result<(), DiskError> {
        let to = self.disk.open(path, Access::Create)?;
        // Tails of earlier crashes stay.
        let mut at = to.len()?;
        for_each_chunk(from, position, size, |bytes| {
            to.write_all_at(&[IoSlice::new(bytes)], at)?;
            at += bytes.len() as u64;
            Ok(true)
        })?;
        to.sync_data()
    }
}

pub(super) fn is_zero(file: &dyn DiskFile, position: u64, size: u64) -> Result<bool, DiskError> {
    let mut zero = true;
    for_each_chunk(file, position, size, |bytes| {
        zero = bytes.iter().all(|byte| *byte == 0);
        Ok(zero)
    })?;
    Ok(zero)
}

/// Reads `position..size` piece by piece while `each` says so.
fn for_each_chunk(
    file: &dyn DiskFile,
    mut position: u64,
    size: u64,
    mut each: impl FnMut(&[u8]) -> Result<bool, DiskError>,
) -> Result<(), DiskError> {
    let mut buffer = vec![0; COPY_BYTES];
    while position < size {
        let want = usize::try_from(size - position).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let Some(bytes) = buffer.get_mut(..want) else { return Ok(()) };
        file.read_exact_at(bytes, position)?;
        if !each(bytes)? {
            return Ok(());
        }
        position += want as u64;
    }
    Ok(())
}
