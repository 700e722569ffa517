//! Control batches: markers that consumers never see.

use bytes::Bytes;

use super::{BatchBuilder, BatchError, BatchOptions};

/// What a control record says: the second number of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// A quorum has a new leader (KIP-595).
    LeaderChange,
    /// First record of a snapshot (KIP-630).
    SnapshotHeader,
    /// Last record of a snapshot (KIP-630).
    SnapshotFooter,
    /// The finalised `kraft.version` (KIP-853).
    KRaftVersion,
    /// The voters of the quorum (KIP-853).
    KRaftVoters,
}

impl ControlType {
    const ALL: [Self; 7] = [
        Self::Abort,
        Self::Commit,
        Self::LeaderChange,
        Self::SnapshotHeader,
        Self::SnapshotFooter,
        Self::KRaftVersion,
        Self::KRaftVoters,
    ];

    /// The number in the key.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
        }
    }

    /// The key of such a record: version 0, then the type.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }

    /// The type that this key of a control record names, if we know it.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let id = i16::from_be_bytes([*key.get(2)?, *key.get(3)?]);
        Self::ALL.into_iter().find(|known| known.id() == id)
    }
}

/// A control batch of these records, all at one timestamp.
///
/// # Errors
/// As [`BatchBuilder::build`].
pub fn control_batch(
    options: BatchOptions,
    timestamp: i64,
    records: &[(ControlType, Bytes)],
) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new(BatchOptions { control: true, ..options });
    for (kind, value) in records {
        builder.append(timestamp, Some(&kind.key()), Some(value), &[]);
    }
    builder.build()
}
