//! What the coordinator takes from the configuration of the broker, and its fixed limits.

/// How long a member that has just joined may wait for its first generation.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 300_000;

/// Groups that one shard keeps; whoever begins one more is refused with GROUP_MAX_SIZE_REACHED.
/// Kafka has no such limit.
pub(crate) const GROUPS_MAX: usize = 100_000;

/// What the members of one shard's groups may take, with their names, subscriptions and
/// assignments; whoever joins beyond it is refused with GROUP_MAX_SIZE_REACHED. Kafka has no such
/// limit.
pub(crate) const MEMBER_BYTES_MAX: usize = 64 << 20;

/// Partitions that one commit may name, and what its records may take: other groups of the shard
/// wait while it is decided, written and taken over. Whoever wants more is refused with
/// INVALID_COMMIT_OFFSET_SIZE. Kafka's limit is `max.message.bytes` of the offsets topic, 1 MiB.
pub(crate) const COMMIT_ENTRIES_MAX: usize = 25_000;
/// See [`COMMIT_ENTRIES_MAX`].
pub(crate) const COMMIT_BYTES_MAX: usize = 4 << 20;

/// Partitions that one question for a group's offsets may name, and what the metadata in its
/// answer may take, for the same reason: naming one partition many times costs four bytes each.
/// Whoever wants more is refused with INVALID_REQUEST. Kafka has no such limits.
pub(crate) const FETCH_ENTRIES_MAX: usize = 100_000;
/// See [`FETCH_ENTRIES_MAX`].
pub(crate) const FETCH_BYTES_MAX: usize = 64 << 20;

/// Partitions of which one request may delete the offsets; see [`FETCH_ENTRIES_MAX`].
pub(crate) const DELETE_ENTRIES_MAX: usize = COMMIT_ENTRIES_MAX;

/// The coordinator's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one group.
    pub group_members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_members_max: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            offset_metadata_bytes_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
        }
    }
}
