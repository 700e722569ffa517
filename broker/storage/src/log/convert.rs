//! `compression.type`: a client's batch in the codec that the topic asks for.
//!
//! A step before the append, without the log: it may take a while, and the partition's lock is
//! short. The records themselves stay as they are, so the append checks the converted batch as it
//! would have checked the client's.

use bytes::Bytes;
use wire::compression::Codec;
use wire::records::BatchIter;

use super::append::refused;
use crate::config::{Compression, LogConfig};
use crate::error::AppendError;

/// The client's batches as a log of this configuration stores them. A batch in the right codec
/// stays as it is, whatever its level, and so does what the append will refuse. Takes memory for
/// one batch decompressed, which the configuration bounds.
///
/// # Errors
/// The batch is corrupt, or larger than `max.message.bytes` as it came.
pub fn converted(config: &LogConfig, batches: Bytes) -> Result<Bytes, AppendError> {
    let Compression::Fixed { codec, level } = config.compression else { return Ok(batches) };
    let mut found = BatchIter::new(batches.clone());
    let (Some(Ok(batch)), None) = (found.next(), found.next()) else { return Ok(batches) };
    let attributes = batch.header().attributes;
    if attributes.is_control() || attributes.codec().is_ok_and(|its| its == codec) {
        return Ok(batches);
    }
    let bytes = batch.bytes().len() as u64;
    if bytes > u64::from(config.max_message_bytes) {
        return Err(AppendError::BatchTooLarge { bytes, max: config.max_message_bytes });
    }
    // The new batch gets a CRC of its own, which must not vouch for what was broken before.
    batch.verify_crc().map_err(refused)?;
    let stored = batch.recompressed(codec, level, config.decompressed_bytes_max);
    Ok(stored.map_err(refused)?.bytes().clone())
}

impl Compression {
    /// What `compression.type` says, with the level that its codec has been given.
    #[must_use]
    pub fn of(name: &str, level: impl Fn(Codec) -> Option<i32>) -> Self {
        let codec = match name {
            "uncompressed" => Some(Codec::None),
            name => Codec::from_name(name),
        };
        codec.map_or(Self::Producer, |codec| Self::Fixed { codec, level: level(codec) })
    }
}
