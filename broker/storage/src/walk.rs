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
