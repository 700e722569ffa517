//! What a log remembers of its producers: the last five batches of each, so that a retry is told
//! from a gap. Kept across restarts by `.snapshot` files and by replaying batches.

use std::collections::{BTreeMap, VecDeque};

use wire::records::BatchHeader;

use crate::error::AppendError;

mod replay;
pub mod snapshot;

/// Batches remembered per producer: as many as a client may have in flight.
pub const BATCHES_MAX: usize = 5;

/// The epoch of a producer that nothing is known about.
const NO_EPOCH: i16 = -1;

/// One remembered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedBatch {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its last offset minus its first.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: i64,
}

impl ProducedBatch {
    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }

    /// Sequence of its first record; sequences wrap from 2^31-1 to 0.
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + (1 << 31) } else { first };
        i32::try_from(wrapped).unwrap_or(0)
    }
}

/// One producer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: i16,
    /// Its last batches of that epoch, oldest first, at most [`BATCHES_MAX`].
    pub batches: VecDeque<ProducedBatch>,
    /// Epoch of the transaction coordinator that wrote its last marker, -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
    /// Timestamp of its last batch or marker.
    pub timestamp: i64,
    /// When it was last heard of, by the broker's clock.
    pub seen_ms: i64,
}

/// The verdict over an idempotent batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It continues the producer's sequence.
    Next,
    /// It is in the log already.
    Duplicate(ProducedBatch),
}

/// All producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// The first offset of each open transaction, with its producer.
    ongoing: BTreeMap<i64, i64>,
}

impl Producers {
    /// How many producers are remembered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The producers by id, for DescribeProducers.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Judges a batch of a client as Apache Kafka 4.x does.
    pub(crate) fn judge(&self, header: &BatchHeader) -> Result<Verdict, AppendError> {
        let Some(producer) = self.by_id.get(&header.producer_id) else { return Ok(Verdict::Next) };
        producer.check_epoch(header)?;
        if producer.epoch == header.producer_epoch
            && let Some(batch) = producer.duplicate_of(header)
        {
            return Ok(Verdict::Duplicate(batch));
        }
        let last = producer.batches.back().map(|batch| batch.last_sequence);
        check_sequence(header, producer.epoch, last)?;
        Ok(Verdict::Next)
    }

    /// Judges only the epoch: what coordinators' batches are held to.
    pub(crate) fn judge_epoch(&self, header: &BatchHeader) -> Result<(), AppendError> {
        match self.by_id.get(&header.producer_id) {
            Some(producer) => producer.check_epoch(header),
            None => Ok(()),
        }
    }

    /// Notes a data batch that is in the log at `header`'s offsets.
    pub(crate) fn record(&mut self, header: &BatchHeader, now_ms: i64, producers_max: usize) {
        if !self.by_id.contains_key(&header.producer_id) {
            self.make_room(producers_max);
        }
        let producer =
            self.by_id.entry(header.producer_id).or_insert_with(|| Producer::unknown(now_ms));
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if header.base_sequence >= 0 {
            while producer.batches.len() >= BATCHES_MAX {
                producer.batches.pop_front();
            }
            producer.batches.push_back(ProducedBatch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
        if header.attributes.is_transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, header.producer_id);
        }
        producer.timestamp = header.max_timestamp;
        producer.seen_ms = producer.seen_ms.max(now_ms);
    }

    /// Notes the marker that ends a producer's transaction; gives that transaction's first offset.
    pub(crate) fn record_marker(
        &mut self,
        header: &BatchHeader,
        coordinator_epoch: i32,
        now_ms: i64,
    ) -> Option<i64> {
        let producer =
            self.by_id.entry(header.producer_id).or_insert_with(|| Producer::unknown(now_ms));
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.coordinator_epoch = coordinator_epoch;
        let ended = producer.transaction_start.take();
        producer.timestamp = header.max_timestamp;
        producer.seen_ms = producer.seen_ms.max(now_ms);
        if let Some(first) = ended {
            self.ongoing.remove(&first);
        }
        ended
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_ongoing_offset(&self) -> Option<i64> {
        self.ongoing.keys().next().copied()
    }

    /// Forgets producers idle for so long, unless a transaction is open; says how many.
    pub(crate) fn expire(&mut self, now_ms: i64, after_ms: i64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, producer| {
            producer.transaction_start.is_some()
                || now_ms.saturating_sub(producer.seen_ms) < after_ms
        });
        before - self.by_id.len()
    }

    /// Forgets the longest idle sixteenth when full, so that a flood of ids pays for itself.
    fn make_room(&mut self, producers_max: usize) {
        if self.by_id.len() < producers_max.max(1) {
            return;
        }
        let mut idle: Vec<(i64, i64)> = self
            .by_id
            .iter()
            .filter(|(_, producer)| producer.transaction_start.is_none())
            .map(|(id, producer)| (producer.seen_ms, *id))
            .collect();
        idle.sort_unstable();
        for (_, id) in idle.iter().take(producers_max / 16 + 1) {
            self.by_id.remove(id);
        }
    }
}

impl Producer {
    fn unknown(now_ms: i64) -> Self {
        Self {
            epoch: NO_EPOCH,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            transaction_start: None,
            timestamp: -1,
            seen_ms: now_ms,
        }
    }

    fn check_epoch(&self, header: &BatchHeader) -> Result<(), AppendError> {
        if header.producer_epoch >= self.epoch {
            return Ok(());
        }
        Err(AppendError::StaleProducerEpoch {
            producer_id: header.producer_id,
            current: self.epoch,
            got: header.producer_epoch,
        })
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<ProducedBatch> {
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.batches
            .iter()
            .find(|batch| batch.first_sequence() == first && batch.last_sequence == last)
            .copied()
    }
}

/// Whether a batch continues a producer whose last batch had this epoch and sequence.
fn check_sequence(header: &BatchHeader, epoch: i16, last: Option<i32>) -> Result<(), AppendError> {
    let first = header.base_sequence;
    let fits = match last {
        _ if epoch == NO_EPOCH => true,
        // A new epoch begins its sequence anew.
        _ if epoch != header.producer_epoch => first == 0,
        // Only a marker is known of this epoch: as Kafka, the sequence begins at 0.
        None => first == 0,
        Some(i32::MAX) => first == 0,
        Some(last) => first == last + 1,
    };
    if fits {
        return Ok(());
    }
    Err(AppendError::OutOfOrderSequence {
        producer_id: header.producer_id,
        last: last.unwrap_or(-1),
        got: first,
    })
}

#[cfg(test)]
mod tests;
