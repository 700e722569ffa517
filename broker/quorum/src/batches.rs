//! Records as batches of the metadata log, and back.

use bytes::Bytes;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use wire::message::{from_bytes, to_bytes};
use wire::messages::kraft_version_record::KRaftVersionRecord;
use wire::messages::leader_change_message::{LeaderChangeMessage, Voter as LeaderVoter};
use wire::messages::voters_record::VotersRecord;
use wire::records::{Batch, BatchBuilder, BatchOptions, ControlType, control_batch};

use crate::{Error, Voters};

/// The largest batch of the metadata log, and so the largest decision.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The version of a leader change that Kafka writes; its readers take every one for it. The next
/// version would carry directory ids.
const LEADER_CHANGE_VERSION: i16 = 0;
/// The highest `kraft.version` that this version follows.
const KRAFT_VERSION_MAX: i16 = 1;

/// One record of the metadata log or of a snapshot, as the quorum sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// A record of the metadata, which the quorum does not read.
    Data {
        /// Its offset.
        offset: Offset,
        /// Its bytes.
        value: Bytes,
    },
    /// A new leader began its epoch here.
    LeaderChange {
        /// The leader.
        leader: BrokerId,
        /// The voters by their ids, which is all there is of them in a quorum of `kraft.version` 0.
        voters: Vec<BrokerId>,
    },
    /// The quorum's format from here on.
    KRaftVersion {
        /// Its offset.
        offset: Offset,
        /// The format.
        version: i16,
    },
    /// The voters from here on.
    Voters {
        /// Its offset.
        offset: Offset,
        /// The voters.
        voters: Voters,
    },
    /// A snapshot begins; the time of the last record that it stands for.
    SnapshotHeader(i64),
    /// A snapshot is whole.
    SnapshotFooter,
}

/// A batch of records at `base_offset`.
pub(crate) fn data_batch(
    base_offset: Offset,
    epoch: LeaderEpoch,
    now_ms: i64,
    values: &[Bytes],
) -> Result<Bytes, Error> {
    let mut builder = BatchBuilder::new(options(base_offset, epoch));
    for value in values {
        builder.append(now_ms, None, Some(value), &[]);
    }
    Ok(builder.build()?)
}

/// The batch with which a leader begins its epoch.
pub(crate) fn leader_change_batch(
    base_offset: Offset,
    epoch: LeaderEpoch,
    now_ms: i64,
    leader: BrokerId,
    voters: &Voters,
    granting: &[BrokerId],
) -> Result<Bytes, Error> {
    let voter = |v: &crate::Voter| LeaderVoter { voter_id: v.id.0, voter_directory_id: Uuid::ZERO };
    let granted = |v: &&crate::Voter| granting.contains(&v.id);
    let message = LeaderChangeMessage {
        version: LEADER_CHANGE_VERSION,
        leader_id: leader.0,
        granting_voters: voters.iter().filter(granted).map(voter).collect(),
        voters: voters.iter().map(voter).collect(),
    };
    let value = to_bytes(&message, LEADER_CHANGE_VERSION)?;
    let records = [(ControlType::LeaderChange, value)];
    Ok(control_batch(options(base_offset, epoch), now_ms, &records)?)
}

/// The batch that changes the voters, and the format before them if that changes too.
pub(crate) fn voters_batch(
    base_offset: Offset,
    epoch: LeaderEpoch,
    now_ms: i64,
    kraft_version: Option<i16>,
    voters: &Voters,
) -> Result<Bytes, Error> {
    let mut records = Vec::new();
    if let Some(kraft_version) = kraft_version {
        let record = KRaftVersionRecord { version: 0, kraft_version };
        records.push((ControlType::KRaftVersion, to_bytes(&record, 0)?));
    }
    records.push((ControlType::KRaftVoters, to_bytes(&voters.to_record(), 0)?));
    Ok(control_batch(options(base_offset, epoch), now_ms, &records)?)
}

pub(crate) fn options(base_offset: Offset, epoch: LeaderEpoch) -> BatchOptions {
    BatchOptions { base_offset: base_offset.0, leader_epoch: epoch.0, ..Default::default() }
}

/// The records of a batch, whose CRC is checked here.
///
/// # Errors
/// The batch is damaged or says something that this version does not follow.
pub fn entries(batch: &Batch) -> Result<Vec<LogEntry>, Error> {
    batch.verify_crc()?;
    let set = batch.records(BATCH_BYTES_MAX)?;
    let control = batch.header().attributes.is_control();
    let mut entries = Vec::new();
    for record in set.iter() {
        let record = record?;
        let offset = Offset(record.offset);
        let value = record.value.ok_or(Error::NoValue(offset))?;
        let value = set.plain_bytes().slice_ref(value);
        if !control {
            entries.push(LogEntry::Data { offset, value });
            continue;
        }
        let kind = record.key.and_then(ControlType::of_key);
        entries.push(control_entry(kind.ok_or(Error::UnknownControl(offset))?, offset, value)?);
    }
    Ok(entries)
}

fn control_entry(kind: ControlType, offset: Offset, value: Bytes) -> Result<LogEntry, Error> {
    // Control values carry no version outside themselves: their first field is it.
    let version = match value.get(..2) {
        Some(&[high, low]) => i16::from_be_bytes([high, low]),
        _ => return Err(Error::UnknownControl(offset)),
    };
    Ok(match kind {
        ControlType::LeaderChange => {
            let message: LeaderChangeMessage = from_bytes(value, version)?;
            let voters = message.voters.iter().map(|voter| BrokerId(voter.voter_id)).collect();
            LogEntry::LeaderChange { leader: BrokerId(message.leader_id), voters }
        }
        ControlType::KRaftVersion => {
            let record: KRaftVersionRecord = from_bytes(value, version)?;
            if !(0..=KRAFT_VERSION_MAX).contains(&record.kraft_version) {
                return Err(Error::KRaftVersion(record.kraft_version));
            }
            LogEntry::KRaftVersion { offset, version: record.kraft_version }
        }
        ControlType::KRaftVoters => {
            let record: VotersRecord = from_bytes(value, version)?;
            LogEntry::Voters { offset, voters: Voters::from_record(&record) }
        }
        ControlType::SnapshotHeader => {
            let header: wire::messages::snapshot_header_record::SnapshotHeaderRecord =
                from_bytes(value, version)?;
            LogEntry::SnapshotHeader(header.last_contained_log_timestamp)
        }
        ControlType::SnapshotFooter => LogEntry::SnapshotFooter,
        ControlType::Abort | ControlType::Commit => return Err(Error::UnknownControl(offset)),
    })
}
