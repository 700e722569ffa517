//! Snapshots of the metadata log: `<offset>-<epoch>.checkpoint`.
//!
//! A snapshot is a run of batches with offsets of its own: a control batch with the header, the
//! `kraft.version` and the voters; the records; a control batch with the footer, without which
//! it is not whole.

use std::fmt;

use bytes::{Bytes, BytesMut};
use wire::ids::{LeaderEpoch, Offset};
use wire::message::to_bytes;
use wire::messages::kraft_version_record::KRaftVersionRecord;
use wire::messages::snapshot_footer_record::SnapshotFooterRecord;
use wire::messages::snapshot_header_record::SnapshotHeaderRecord;
use wire::records::{BatchIter, ControlType, control_batch};

use crate::batches::{LogEntry, data_batch, entries, options};
use crate::{Error, Voters};

/// The ending of a whole snapshot's file name.
const SUFFIX: &str = ".checkpoint";
/// The most records of one batch of a snapshot.
const RECORDS_PER_BATCH_MAX: usize = 1024;
/// Beyond this many bytes of records a batch of a snapshot ends.
const BATCH_BYTES: usize = 512 * 1024;

/// Which prefix of the log a snapshot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that it does not contain.
    pub end_offset: Offset,
    /// The epoch of the last record that it contains.
    pub epoch: LeaderEpoch,
}

/// What a snapshot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which prefix it stands for.
    pub id: SnapshotId,
    /// The time of the last record of that prefix.
    pub last_contained_ms: i64,
    /// The quorum's format.
    pub kraft_version: i16,
    /// The voters, unless the format is 0.
    pub voters: Option<Voters>,
    /// The records.
    pub records: Vec<Bytes>,
}

impl SnapshotId {
    /// The name of the file.
    pub fn file_name(self) -> String {
        format!("{self}{SUFFIX}")
    }

    /// Reads the name of a whole snapshot's file; `None` for any other file.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (offset, epoch) = file_name.strip_suffix(SUFFIX)?.split_once('-')?;
        let digits = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(offset, 20) || !digits(epoch, 10) {
            return None;
        }
        Some(Self {
            end_offset: Offset(offset.parse().ok()?),
            epoch: LeaderEpoch(epoch.parse().ok()?),
        })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}", self.end_offset.0, self.epoch.0)
    }
}

impl Snapshot {
    /// The content of the file; `now_ms` stamps its records.
    ///
    /// # Errors
    /// A record does not fit a batch.
    pub fn to_bytes(&self, now_ms: i64) -> Result<Bytes, Error> {
        let mut file = BytesMut::new();
        let mut next = Offset(0);
        let header = SnapshotHeaderRecord {
            version: 0,
            last_contained_log_timestamp: self.last_contained_ms,
        };
        let mut head = vec![(ControlType::SnapshotHeader, to_bytes(&header, 0)?)];
        if let Some(voters) = &self.voters {
            let version = KRaftVersionRecord { version: 0, kraft_version: self.kraft_version };
            head.push((ControlType::KRaftVersion, to_bytes(&version, 0)?));
            head.push((ControlType::KRaftVoters, to_bytes(&voters.to_record(), 0)?));
        }
        file.extend_from_slice(&control_batch(options(next, self.id.epoch), now_ms, &head)?);
        next = advance(next, head.len());
        let mut rest = self.records.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_len(rest));
            let bytes = data_batch(next, self.id.epoch, now_ms, batch)?;
            file.extend_from_slice(&bytes);
            next = advance(next, batch.len());
            rest = after;
        }
        let footer = to_bytes(&SnapshotFooterRecord { version: 0 }, 0)?;
        let foot = [(ControlType::SnapshotFooter, footer)];
        file.extend_from_slice(&control_batch(options(next, self.id.epoch), now_ms, &foot)?);
        Ok(file.freeze())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The file is damaged, cut short, or says something that this version does not follow.
    pub fn parse(id: SnapshotId, file: Bytes) -> Result<Self, Error> {
        let torn = |what| Error::TornSnapshot(id.to_string(), what);
        let mut header = None;
        let mut whole = false;
        let mut snapshot =
            Self { id, last_contained_ms: 0, kraft_version: 0, voters: None, records: Vec::new() };
        for batch in BatchIter::new(file) {
            for entry in entries(&batch?)? {
                if header.is_none() && !matches!(entry, LogEntry::SnapshotHeader(_)) {
                    return Err(torn("header"));
                }
                match entry {
                    LogEntry::SnapshotHeader(at) => header = Some(at),
                    LogEntry::KRaftVersion { version, .. } => snapshot.kraft_version = version,
                    LogEntry::Voters { voters, .. } => snapshot.voters = Some(voters),
                    LogEntry::Data { value, .. } => snapshot.records.push(value),
                    LogEntry::SnapshotFooter => whole = true,
                    LogEntry::LeaderChange { .. } => {}
                }
            }
        }
        if !whole {
            return Err(torn("footer"));
        }
        snapshot.last_contained_ms = header.ok_or_else(|| torn("header"))?;
        Ok(snapshot)
    }

    /// The time of the last record that a snapshot stands for, by its header: `file` is its
    /// beginning at least. `None` if that is no header.
    pub(crate) fn last_contained_ms(file: Bytes) -> Option<i64> {
        let first = BatchIter::new(file).next()?.ok()?;
        match entries(&first).ok()?.first()? {
            LogEntry::SnapshotHeader(at) => Some(*at),
            _ => None,
        }
    }
}

/// How many of the records go into the next batch: at least one.
fn batch_len(records: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&Bytes| {
        bytes += record.len();
        bytes <= BATCH_BYTES
    };
    records.iter().take(RECORDS_PER_BATCH_MAX).take_while(fits).count().max(1)
}

fn advance(offset: Offset, records: usize) -> Offset {
    offset.plus(i64::try_from(records).unwrap_or(i64::MAX))
}
