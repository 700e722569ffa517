//! From a topic's configuration, as the metadata has it, to what its logs need.

use metadata::broker_config::Layers;
use metadata::topic_config::Resolved;
use storage::LogConfig;
use storage::config::{CleanupPolicy, Compression, TimestampType};
use wire::compression::Codec;

/// Limits of the broker that every log shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// Most producer ids remembered per partition.
    pub producers_max: usize,
    /// Most bytes that one batch may decompress to when the broker has to look inside.
    pub decompressed_bytes_max: usize,
    /// `tidelog.produce.validation`: whether compressed batches of clients are opened.
    pub strict_validation: bool,
}

impl Default for LogLimits {
    fn default() -> Self {
        let log = LogConfig::default();
        Self {
            producer_expiration_ms: log.producer_expiration_ms,
            producers_max: log.producers_max,
            decompressed_bytes_max: log.decompressed_bytes_max,
            strict_validation: log.strict_validation,
        }
    }
}

/// The level that the topic gives a codec. LZ4 is made at one level here, whatever is asked for.
fn level(topic: &Resolved, codec: Codec) -> Option<i32> {
    match codec {
        // -1 is zlib's own default.
        Codec::Gzip => Some(topic.int("compression.gzip.level", -1)).filter(|level| *level >= 0),
        Codec::Zstd => Some(topic.int("compression.zstd.level", 3)),
        _ => None,
    }
}

impl LogLimits {
    /// The same, with what is set on brokers while they run.
    pub(crate) fn under(&self, layers: &Layers<'_>) -> Self {
        let expiration = layers.value("producer.id.expiration.ms");
        let expiration = expiration.and_then(|setting| setting.text.trim().parse().ok());
        Self {
            producer_expiration_ms: expiration.unwrap_or(self.producer_expiration_ms),
            ..self.clone()
        }
    }
}

/// What the logs of a topic with this configuration do.
pub(crate) fn log_config(topic: &Resolved, limits: &LogLimits) -> LogConfig {
    let standard = LogConfig::default();
    let bytes = |name: &str, fallback: u32| {
        u32::try_from(topic.int(name, i32::try_from(fallback).unwrap_or(i32::MAX)))
            .unwrap_or(fallback)
    };
    LogConfig {
        segment_bytes: bytes("segment.bytes", standard.segment_bytes),
        segment_ms: topic.long("segment.ms", standard.segment_ms),
        segment_jitter_ms: topic.long("segment.jitter.ms", standard.segment_jitter_ms),
        segment_index_bytes: bytes("segment.index.bytes", standard.segment_index_bytes),
        index_interval_bytes: bytes("index.interval.bytes", standard.index_interval_bytes),
        flush_messages: topic.long("flush.messages", standard.flush_messages),
        flush_ms: topic.long("flush.ms", standard.flush_ms),
        retention_bytes: topic.long("retention.bytes", standard.retention_bytes),
        retention_ms: topic.long("retention.ms", standard.retention_ms),
        file_delete_delay_ms: topic.long("file.delete.delay.ms", standard.file_delete_delay_ms),
        cleanup: CleanupPolicy {
            delete: topic.list_has("cleanup.policy", "delete"),
            compact: topic.list_has("cleanup.policy", "compact"),
        },
        preallocate: topic.boolean("preallocate"),
        max_message_bytes: bytes("max.message.bytes", standard.max_message_bytes),
        compression: Compression::of(topic.string("compression.type"), |codec| level(topic, codec)),
        timestamp_type: match topic.string("message.timestamp.type") {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        timestamp_before_max_ms: topic
            .long("message.timestamp.before.max.ms", standard.timestamp_before_max_ms),
        timestamp_after_max_ms: topic
            .long("message.timestamp.after.max.ms", standard.timestamp_after_max_ms),
        producer_expiration_ms: limits.producer_expiration_ms,
        producers_max: limits.producers_max,
        decompressed_bytes_max: limits.decompressed_bytes_max,
        strict_validation: limits.strict_validation,
    }
}
