//! What the coordinator takes from the configuration of the broker, and its fixed limits.

/// How long a member that has just joined may wait for its first generation.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 300_000;

/// The coordinator's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one group, those that have yet to come back with the id they
    /// were given included.
    pub group_members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_members_max: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            offset_metadata_bytes_max: 4_096,
        }
    }
}
