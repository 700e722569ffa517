//! One partition on this broker: its identity, its lock, who waits for it, and its state.
//!
//! The lock is short and the partition's own: under it a batch is checked, given its offsets and
//! copied to the page cache, or a read is looked up. fsync runs outside of it
//! ([`Partition::flush`]), wake-ups happen after it is released, and it is never held while another
//! lock is taken.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::config::Compression;
use storage::log::Log;
use wire::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::error::Error;
use crate::leader::Leader;
use crate::purgatory::{FetchWait, Parked, Purgatory, Wake};
use crate::stats::Traffic;

/// Which partition this is. Fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index in the topic.
    pub index: PartitionIndex,
}

/// What the metadata says about the partition's leadership here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// This broker.
    pub broker: BrokerId,
    /// Whether it leads at all. When not, whoever asks is sent away.
    pub leads: bool,
    /// The epoch in which it leads.
    pub epoch: LeaderEpoch,
    /// The committed in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
}

const SERVING: u8 = 0;
const OFFLINE: u8 = 1;
const DELETED: u8 = 2;

/// One partition that this broker has, and leads as a rule.
#[derive(Debug)]
pub struct Partition {
    identity: Identity,
    standing: AtomicU8,
    /// Changes under the lock.
    leads: AtomicBool,
    /// Whether batches are converted before the append (`compression.type`).
    pub(crate) converts: AtomicBool,
    pub(crate) purgatory: Arc<Purgatory>,
    leader: Mutex<Leader>,
    pub(crate) traffic: Traffic,
    /// Counts beginnings and ends of appends: odd while one is at the disk.
    pub(crate) turns: AtomicU64,
    /// Held over an fsync, never together with `leader` but by the one who flushes.
    pub(crate) flushing: Mutex<()>,
}

impl Partition {
    /// Leads `log` from now on.
    #[must_use]
    pub fn new(identity: Identity, log: Log, leadership: Leadership) -> Arc<Self> {
        let converts = AtomicBool::new(log.config().compression != Compression::Producer);
        let leads = AtomicBool::new(leadership.leads);
        let leader = Leader::new(log, leadership);
        let purgatory = Arc::new(Purgatory::new(leader.end_offset()));
        Arc::new(Self {
            identity,
            standing: AtomicU8::new(SERVING),
            leads,
            converts,
            purgatory,
            leader: Mutex::new(leader),
            traffic: Traffic::default(),
            turns: AtomicU64::new(0),
            flushing: Mutex::new(()),
        })
    }

    /// Which partition this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.identity.topic
    }

    /// The topic's id.
    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.identity.topic_id
    }

    /// The partition's index.
    #[must_use]
    pub fn index(&self) -> PartitionIndex {
        self.identity.index
    }

    /// Offsets below it are on every replica that counts.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.purgatory.reached()
    }

    /// The first offset there is.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.lock().start_offset()
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.lock().end_offset()
    }

    /// Whether the log holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let leader = self.lock();
        leader.start_offset() == leader.end_offset()
    }

    /// The epoch in which this broker leads.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.lock().epoch()
    }

    /// Bytes of the log on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.lock().log().size_bytes()
    }

    /// Takes over what the metadata says of the leadership: a new epoch, a new in-sync set, or that
    /// this broker leads no more; then those who wait hear of it.
    ///
    /// # Errors
    /// [`Error::Offline`].
    pub fn lead(&self, leadership: Leadership) -> Result<(), Error> {
        let (leads, led) = (leadership.leads, self.leads());
        let moved = {
            let mut leader = self.lock_to_change()?;
            if leadership.epoch >= leader.epoch() {
                self.leads.store(leads, Ordering::SeqCst);
            }
            leader.lead(leadership, self.high_watermark())
        };
        self.publish(moved);
        if led && !leads {
            self.purgatory.wake_all();
        }
        Ok(())
    }

    /// Whether this broker leads the partition.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::SeqCst)
    }

    /// Whether the partition answers those who ask for its leader.
    ///
    /// # Errors
    /// As for [`Self::check_serving`], and [`Error::NotLeader`].
    pub fn check_leading(&self) -> Result<(), Error> {
        self.check_serving()?;
        if self.leads() { Ok(()) } else { Err(Error::NotLeader) }
    }

    /// The directory went offline: everything is refused from now on, and the waiters hear of it.
    pub fn go_offline(&self) {
        // A deleted partition stays deleted.
        let _ =
            self.standing.compare_exchange(SERVING, OFFLINE, Ordering::SeqCst, Ordering::SeqCst);
        self.purgatory.wake_all();
    }

    /// The topic is gone: everything is refused from now on, and the waiters hear of it. Reads
    /// already handed out keep their files.
    pub fn retire(&self) {
        self.standing.store(DELETED, Ordering::SeqCst);
        self.purgatory.wake_all();
    }

    /// Whether the partition serves at all.
    ///
    /// # Errors
    /// [`Error::Offline`], [`Error::Deleted`].
    pub fn check_serving(&self) -> Result<(), Error> {
        match self.standing.load(Ordering::SeqCst) {
            SERVING => Ok(()),
            DELETED => Err(Error::Deleted),
            _ => Err(Error::Offline),
        }
    }

    /// Whether the log takes records: corruption may have closed it while it is still read.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.check_serving().is_ok() && !self.lock().log().is_poisoned()
    }

    /// Whether the high watermark is at least `required`, so that acks=all may be answered.
    ///
    /// # Errors
    /// The partition does not serve any more: the produce fails.
    pub fn produce_status(&self, required: Offset) -> Result<bool, Error> {
        self.check_leading()?;
        Ok(self.high_watermark() >= required)
    }

    /// Waits until [`Self::produce_status`] of `required` says something new.
    pub fn park_produce(&self, required: Offset, wake: Arc<dyn Wake>) -> Parked {
        self.unless_stopped(self.purgatory.park_produce(required, wake))
    }

    /// Waits for records after `seen`, the high watermark that the read answered.
    pub fn park_fetch(&self, seen: Offset, wait: Arc<FetchWait>) -> Parked {
        self.unless_stopped(self.purgatory.park_fetch(seen, wait))
    }

    /// A waiter that entered after everyone was told to look again would never hear of it.
    fn unless_stopped(&self, parked: Parked) -> Parked {
        if self.check_leading().is_ok() { parked } else { Parked::Ready }
    }

    /// The state, to look at. A thread that panicked while it changed the log leaves numbers that
    /// are still good enough to print.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Leader> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, to change. A log that a panic left half changed is never written again.
    pub(crate) fn lock_to_change(&self) -> Result<MutexGuard<'_, Leader>, Error> {
        match self.leader.lock() {
            Ok(leader) => Ok(leader),
            Err(_poisoned) => {
                self.go_offline();
                Err(Error::Offline)
            }
        }
    }

    /// Makes an advance of the high watermark visible; called without the lock.
    pub(crate) fn publish(&self, advance: Option<Advance>) {
        if let Some(Advance { to, bytes }) = advance {
            self.purgatory.advance(to, bytes);
        }
    }
}

/// The high watermark moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) to: Offset,
    /// Bytes that became readable by it.
    pub(crate) bytes: i64,
}
