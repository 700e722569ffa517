//! Walks the batches of a segment's file: headers only, or whole batches with their CRC checked.

use bytes::Bytes;
use wire::records::{Batch, BatchHeader, HEADER_BYTES};

use crate::disk::{DiskError, DiskFile};

/// Bytes read at once when only headers are wanted: about one index interval.
const HEADER_CHUNK_BYTES: usize = 4 << 10;

/// Bytes read at once when whole batches are wanted.
const BATCH_CHUNK_BYTES: usize = 1 << 20;

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch whose header makes sense here, and which is whole.
    Batch(Found),
    /// The end was reached exactly behind a batch.
    End,
    /// What lies here is not a whole, sound batch.
    Bad {
        /// Where.
        position: u64,
    },
}

/// A batch that a walk found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it begins in the file.
    pub(crate) position: u64,
    /// Its header.
    pub(crate) header: BatchHeader,
}

impl Found {
    /// The position behind it.
    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(self.header.size_in_bytes() as u64)
    }
}

/// The offset behind the last sound batch in `position..end`, however much between is not.
pub(crate) fn sound_upto(
    file: &dyn DiskFile,
    position: u64,
    end: u64,
    offset_min: i64,
) -> Result<Option<i64>, DiskError> {
    let mut walk = Walk::verifying(file, position, end).with_offset_min(offset_min);
    let mut upto = None;
    loop {
        let found = match walk.step()? {
            Step::Batch(found) => Some(found),
            Step::End => return Ok(upto),
            Step::Bad { .. } => walk.resync()?,
        };
        let Some(found) = found else { return Ok(upto) };
        upto = Some(found.header.next_offset());
    }
}

/// A walk over `position..end` of a segment's file.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    /// The least base offset that the next batch may have.
    offset_min: i64,
    check_crc: bool,
    chunk: Bytes,
    chunk_at: u64,
}

impl<'a> Walk<'a> {
    /// Looks at headers only.
    pub(crate) fn headers(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        let chunk = Bytes::new();
        Self { file, position, end, offset_min: 0, check_crc: false, chunk, chunk_at: 0 }
    }

    /// Reads whole batches and checks their CRC.
    pub(crate) fn verifying(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { check_crc: true, ..Self::headers(file, position, end) }
    }

    /// Batches below this offset are not believed.
    pub(crate) fn with_offset_min(mut self, offset_min: i64) -> Self {
        self.offset_min = offset_min;
        self
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The least offset that the next batch can have.
    pub(crate) fn offset_min(&self) -> i64 {
        self.offset_min
    }

    /// The next batch.
    pub(crate) fn step(&mut self) -> Result<Step, DiskError> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let head = self.bytes_at(position, HEADER_BYTES)?;
        let Ok(header) = BatchHeader::parse(&head) else { return Ok(Step::Bad { position }) };
        let found = Found { position, header };
        if !self.plausible(&found) {
            return Ok(Step::Bad { position });
        }
        if self.check_crc {
            let whole = self.bytes_at(position, header.size_in_bytes())?;
            if Batch::parse(&whole).is_ok_and(|batch| batch.verify_crc().is_ok()) {
                return Ok(self.pass(found));
            }
            return Ok(Step::Bad { position });
        }
        Ok(self.pass(found))
    }

    /// Goes on behind a bad batch whose length is believable; false when it is not.
    pub(crate) fn skip_bad(&mut self) -> Result<bool, DiskError> {
        let head = self.bytes_at(self.position, HEADER_BYTES)?;
        let Ok(header) = BatchHeader::parse(&head) else { return Ok(false) };
        let found = Found { position: self.position, header };
        if !self.plausible(&found) {
            return Ok(false);
        }
        self.pass(found);
        Ok(true)
    }

    /// Goes on behind the next whole, sound batch, wherever it begins. None when there is none; the
    /// walk is of no use then.
    pub(crate) fn resync(&mut self) -> Result<Option<Found>, DiskError> {
        let mut from = self.position.saturating_add(1);
        while from.saturating_add(HEADER_BYTES as u64) <= self.end {
            let bytes = self.bytes_at(from, BATCH_CHUNK_BYTES)?;
            for (at, window) in (from..).zip(bytes.windows(HEADER_BYTES)) {
                if self.may_begin(window) {
                    self.position = at;
                    if let Step::Batch(found) = self.step()? {
                        return Ok(Some(found));
                    }
                }
            }
            from += bytes.len().saturating_sub(HEADER_BYTES - 1).max(1) as u64;
        }
        Ok(None)
    }

    /// Whether a batch that follows might begin here: cheap, and wrong for few bytes.
    fn may_begin(&self, window: &[u8]) -> bool {
        let Some((offset, rest)) = window.split_first_chunk::<8>() else { return false };
        let ahead = i64::from_be_bytes(*offset).checked_sub(self.offset_min);
        // A segment's offsets are 31 bits apart; the magic follows length and epoch.
        ahead.is_some_and(|ahead| u32::try_from(ahead).is_ok()) && rest.get(8) == Some(&2)
    }

    fn pass(&mut self, found: Found) -> Step {
        self.position = found.end();
        self.offset_min = found.header.next_offset();
        Step::Batch(found)
    }

    fn plausible(&self, found: &Found) -> bool {
        found.end() <= self.end
            && found.header.base_offset >= self.offset_min
            && found.header.last_offset_delta >= 0
    }

    /// `need` bytes at `position`, or as many as there are before the end.
    fn bytes_at(&mut self, position: u64, need: usize) -> Result<Bytes, DiskError> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let need = need.min(left);
        let from = position.checked_sub(self.chunk_at).and_then(|from| usize::try_from(from).ok());
        if let Some(from) = from
            && let Some(to) = from.checked_add(need)
            && to <= self.chunk.len()
        {
            return Ok(self.chunk.slice(from..to));
        }
        let least = if self.check_crc { BATCH_CHUNK_BYTES } else { HEADER_CHUNK_BYTES };
        let mut bytes = vec![0; need.max(least).min(left)];
        self.file.read_exact_at(&mut bytes, position)?;
        self.chunk = Bytes::from(bytes);
        self.chunk_at = position;
        Ok(self.chunk.slice(..need))
    }
}
