//! Features and their levels.

/// The feature that says how metadata records are written.
pub const METADATA_VERSION_FEATURE: &str = "metadata.version";
/// The level at which our metadata log is: 4.3-IV0, the highest that Kafka 4.3.1's tools decode.
pub const METADATA_VERSION: i16 = 30;
/// From this level on registrations tell of cordoned log directories.
pub const CORDONS_FROM: i16 = 30;
/// The lowest level that a log of ours may be at: 3.3-IV3, Kafka 4's own floor.
pub const METADATA_VERSION_MIN: i16 = 7;
/// The feature that turns the new group protocol on.
pub const GROUP_VERSION_FEATURE: &str = "group.version";
/// The feature that turns the second version of transactions on.
pub const TRANSACTION_VERSION_FEATURE: &str = "transaction.version";
/// The feature of the quorum's own format; it lives in the quorum's control records.
pub const KRAFT_VERSION_FEATURE: &str = "kraft.version";
/// The level of `kraft.version` with which our quorums are formed.
pub const KRAFT_VERSION: i16 = 1;

/// One feature with the levels that this broker supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supported {
    /// The name.
    pub name: &'static str,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// What this broker supports, in the order of the names.
pub static SUPPORTED: &[Supported] = &[
    Supported { name: GROUP_VERSION_FEATURE, min: 0, max: 0 },
    Supported { name: KRAFT_VERSION_FEATURE, min: 0, max: KRAFT_VERSION },
    Supported { name: METADATA_VERSION_FEATURE, min: METADATA_VERSION_MIN, max: METADATA_VERSION },
    Supported { name: TRANSACTION_VERSION_FEATURE, min: 0, max: 0 },
];

/// The levels of `metadata.version` at which records changed in a way that older versions do not
/// read.
pub(crate) const RECORDS_CHANGED_AT: &[i16] = &[8, 11, 13, 14, 15, 17, 23, 30];

/// Whether this version knows this level of a feature.
pub(crate) fn supports(name: &str, level: i16) -> bool {
    SUPPORTED.iter().any(|f| f.name == name && (f.min..=f.max).contains(&level))
}
