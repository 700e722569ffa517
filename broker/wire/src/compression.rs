//! The five codecs of record batches, always through a bounded reader: a few KB of zstd can
//! announce hundreds of MiB.

use std::io::{Read, Write};

use bytes::Bytes;

/// Plain bytes in one block of the snappy framing that Kafka's Java client writes.
const SNAPPY_BLOCK_BYTES: usize = 32 * 1024;
/// Magic, version 1 and compatible version 1 of the framing (xerial's `snappy-java`).
const SNAPPY_HEADER: [u8; 16] =
    [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Where an LZ4 frame says how its blocks hang together, and the bit that says: they do not.
const LZ4_FLAGS_AT: usize = 4;
const LZ4_INDEPENDENT: u8 = 0x20;
/// The level of zstd when none is given, as Kafka's `compression.zstd.level`.
const ZSTD_LEVEL_DEFAULT: i32 = 3;

/// How the records of a batch are compressed: the lowest three bits of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in xerial's framing, or one raw block.
    Snappy,
    /// LZ4 frames of independent 64 KiB blocks.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// Every codec, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of these attribute bits, if Kafka has one.
    #[must_use]
    pub fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The attribute bits of this codec, 0..=4.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of this name of `compression.type`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// The stream is not what its codec says.
    #[error("malformed {codec} data: {reason}", codec = .codec.name())]
    Malformed {
        /// The codec that was announced.
        codec: Codec,
        /// What the decoder said.
        reason: String,
    },
    /// More plain bytes than the caller allows.
    #[error("more than {limit} bytes when decompressed")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

fn malformed(codec: Codec, reason: impl ToString) -> CompressionError {
    CompressionError::Malformed { codec, reason: reason.to_string() }
}

/// The plain bytes of `data`, at most `limit` of them.
///
/// # Errors
/// [`CompressionError::Malformed`] when the stream is broken, [`CompressionError::TooLarge`] when
/// it holds more than `limit` bytes.
pub fn decompress(codec: Codec, data: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    match codec {
        Codec::None if data.len() > limit => Err(CompressionError::TooLarge { limit }),
        Codec::None => Ok(data.clone()),
        Codec::Gzip => read_bounded(codec, flate2::bufread::MultiGzDecoder::new(&**data), limit),
        Codec::Snappy => decompress_snappy(data, limit),
        Codec::Lz4 => {
            // The Java client reads no others: one stored would stop every Java consumer.
            if data.get(LZ4_FLAGS_AT).is_some_and(|flags| flags & LZ4_INDEPENDENT == 0) {
                return Err(malformed(codec, "blocks that depend on one another"));
            }
            read_bounded(codec, lz4_flex::frame::FrameDecoder::new(&**data), limit)
        }
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&**data)
                .map_err(|error| malformed(codec, error))?;
            read_bounded(codec, decoder, limit)
        }
    }
}

fn read_bounded(codec: Codec, from: impl Read, limit: usize) -> Result<Bytes, CompressionError> {
    let mut plain = Vec::new();
    let within = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(within).read_to_end(&mut plain).map_err(|error| malformed(codec, error))?;
    if plain.len() > limit {
        return Err(CompressionError::TooLarge { limit });
    }
    Ok(Bytes::from(plain))
}

fn decompress_snappy(data: &[u8], limit: usize) -> Result<Bytes, CompressionError> {
    let mut plain = Vec::new();
    let Some(mut rest) = data.strip_prefix(&SNAPPY_HEADER[..8]).and_then(|rest| rest.get(8..))
    else {
        append_snappy_block(data, limit, &mut plain)?;
        return Ok(Bytes::from(plain));
    };
    while !rest.is_empty() {
        let (length, after) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| malformed(Codec::Snappy, "truncated block length"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| malformed(Codec::Snappy, "negative block length"))?;
        let (block, after) = after
            .split_at_checked(length)
            .ok_or_else(|| malformed(Codec::Snappy, "truncated block"))?;
        append_snappy_block(block, limit, &mut plain)?;
        rest = after;
    }
    Ok(Bytes::from(plain))
}

/// The announced length is checked before anything is reserved for it, and a block cannot expand
/// to more than its 64-byte copies allow, so a forged length costs nothing.
fn append_snappy_block(
    block: &[u8],
    limit: usize,
    plain: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let announced =
        snap::raw::decompress_len(block).map_err(|error| malformed(Codec::Snappy, error))?;
    let start = plain.len();
    let end = start.saturating_add(announced);
    if end > limit {
        return Err(CompressionError::TooLarge { limit });
    }
    if announced > block.len().saturating_mul(64) {
        return Err(malformed(Codec::Snappy, "announced length beyond what the block can hold"));
    }
    plain.resize(end, 0);
    let target = plain.get_mut(start..).unwrap_or_default();
    let written = snap::raw::Decoder::new()
        .decompress(block, target)
        .map_err(|error| malformed(Codec::Snappy, error))?;
    plain.truncate(start.saturating_add(written));
    Ok(())
}

/// `data` compressed by `codec`, at the codec's default level unless `level` is given.
///
/// # Errors
/// [`CompressionError::Malformed`] when the encoder refuses, for instance an unknown level.
pub fn compress(codec: Codec, data: &[u8], level: Option<i32>) -> Result<Bytes, CompressionError> {
    let fail = |error: &dyn ToString| malformed(codec, error.to_string());
    match codec {
        Codec::None => Ok(Bytes::copy_from_slice(data)),
        Codec::Gzip => {
            let level = level
                .and_then(|level| u32::try_from(level).ok())
                .map_or_else(flate2::Compression::default, flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(data).map_err(|error| fail(&error))?;
            encoder.finish().map(Bytes::from).map_err(|error| fail(&error))
        }
        Codec::Snappy => {
            let mut framed = SNAPPY_HEADER.to_vec();
            let mut encoder = snap::raw::Encoder::new();
            for block in data.chunks(SNAPPY_BLOCK_BYTES) {
                let block = encoder.compress_vec(block).map_err(|error| fail(&error))?;
                let length = u32::try_from(block.len()).map_err(|error| fail(&error))?;
                framed.extend_from_slice(&length.to_be_bytes());
                framed.extend_from_slice(&block);
            }
            Ok(Bytes::from(framed))
        }
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(data).map_err(|error| fail(&error))?;
            encoder.finish().map(Bytes::from).map_err(|error| fail(&error))
        }
        Codec::Zstd => zstd::bulk::compress(data, level.unwrap_or(ZSTD_LEVEL_DEFAULT))
            .map(Bytes::from)
            .map_err(|error| fail(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Bytes {
        (0..20_000).map(|n| format!("line {n} of some text\n")).collect::<String>().into()
    }

    #[test]
    fn every_codec_round_trips() {
        for codec in Codec::ALL {
            for plain in [Bytes::new(), Bytes::from_static(b"x"), text()] {
                let packed = compress(codec, &plain, None).unwrap();
                assert_eq!(decompress(codec, &packed, plain.len()).unwrap(), plain, "{codec:?}");
                assert_eq!(Codec::from_id(codec.id()), Some(codec));
                assert_eq!(Codec::from_name(codec.name()), Some(codec));
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 8 << 20];
        for codec in Codec::ALL {
            let packed = compress(codec, &zeros, None).unwrap();
            let error = decompress(codec, &packed, 1 << 20).unwrap_err();
            assert!(matches!(error, CompressionError::TooLarge { limit: 1_048_576 }), "{error}");
        }
    }

    #[test]
    fn broken_streams_are_errors() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let packed = compress(codec, &text(), None).unwrap();
            let cut = packed.slice(..packed.len() / 2);
            assert!(decompress(codec, &cut, 1 << 30).is_err(), "{codec:?} cut");
            let junk = Bytes::from_static(b"\xff\xff\xff\xff\x0fjunk that is no stream");
            assert!(decompress(codec, &junk, 1 << 30).is_err(), "{codec:?} junk");
        }
    }

    #[test]
    fn lz4_blocks_must_be_independent() {
        let info = lz4_flex::frame::FrameInfo::new()
            .block_size(lz4_flex::frame::BlockSize::Max64KB)
            .block_mode(lz4_flex::frame::BlockMode::Linked);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(b"linked").unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        let error = decompress(Codec::Lz4, &packed, 1 << 30).err().unwrap();
        assert!(error.to_string().contains("depend"), "{error}");
    }

    #[test]
    fn raw_snappy_is_accepted() {
        let plain = text();
        let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        assert_eq!(decompress(Codec::Snappy, &raw.into(), plain.len()).unwrap(), plain);
    }
}
