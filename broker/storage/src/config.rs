//! What a log needs of its topic's configuration, typed once; defaults are Apache Kafka 4.x's.

use wire::compression::Codec;
pub use wire::records::TimestampType;

/// What the log stores (`compression.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// The producer's batches as they came.
    #[default]
    Producer,
    /// This codec: batches that come in another one are converted.
    Fixed {
        /// The codec.
        codec: Codec,
        /// How hard it tries, for codecs that know levels; `None` is the codec's default.
        level: Option<i32>,
    },
}

/// Which of `cleanup.policy`'s two ways apply; both false keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted by time and size.
    pub delete: bool,
    /// Only the latest value of each key is kept. Accepted, not carried out yet.
    pub compact: bool,
}

/// One log's configuration. Times are milliseconds, -1 is "no limit" where Kafka says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is closed before it would grow past this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is closed when its first batch is older than this.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: at most this much earlier, by partition, so that not all roll at once.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is closed when an index would grow past this.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: one index entry per this many bytes.
    pub index_interval_bytes: u32,
    /// `flush.messages`: records after which a flush is due.
    pub flush_messages: i64,
    /// `flush.ms`: age of the oldest unflushed record at which a flush is due.
    pub flush_ms: i64,
    /// `retention.bytes`: -1 for no limit.
    pub retention_bytes: i64,
    /// `retention.ms`: -1 for no limit.
    pub retention_ms: i64,
    /// `file.delete.delay.ms`: how long a deleted segment's files stay under `.deleted`.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy`.
    pub cleanup: CleanupPolicy,
    /// `preallocate`: a new segment gets all its space at once.
    pub preallocate: bool,
    /// `max.message.bytes`: the largest batch a client may append.
    pub max_message_bytes: u32,
    /// `compression.type`.
    pub compression: Compression,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far behind the broker's clock a record may be.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of the broker's clock a record may be.
    pub timestamp_after_max_ms: i64,
    /// `producer.id.expiration.ms` of the broker: idle producers are forgotten after this.
    pub producer_expiration_ms: i64,
    /// Most producer ids remembered per partition; the longest idle one makes room.
    pub producers_max: usize,
    /// Most bytes one batch may decompress to when the broker has to look inside.
    pub decompressed_bytes_max: usize,
    /// `tidelog.produce.validation` of the broker: whether clients' compressed batches are opened.
    pub strict_validation: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 7 * DAY_MS,
            file_delete_delay_ms: 60_000,
            cleanup: CleanupPolicy { delete: true, compact: false },
            preallocate: false,
            max_message_bytes: 1_048_588,
            compression: Compression::Producer,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            producer_expiration_ms: DAY_MS,
            producers_max: 100_000,
            decompressed_bytes_max: 64 << 20,
            strict_validation: true,
        }
    }
}
