//! The slots of all sessions and who loses one when they run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::ErrorCode;

use super::session::Session;
use super::{
    ContextKind, FINAL_EPOCH, FetchContext, INITIAL_EPOCH, NO_SESSION, Outcome, SessionReply,
    SessionRequest, next_epoch,
};

/// A session unused for so long gives way to any newcomer; one younger than this is not pushed
/// out by a bigger one.
pub const SESSION_EVICTION_MS: i64 = 120_000;

/// Partitions that all sessions together may remember, whatever the slots: some 50 MB. A client
/// beyond it is served without a session.
pub(super) const PARTITIONS_MAX: usize = 200_000;

/// All sessions of a broker. One lock for the slots, one for each session; never both at once
/// but in that order.
#[derive(Debug)]
pub struct SessionCache {
    slots: Mutex<Slots>,
}

/// Who is pushed out first: consumers before followers, small sessions before big ones.
type Rank = (bool, usize, i32);

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    from_follower: bool,
    created_ms: i64,
    used_ms: i64,
    size: usize,
}

#[derive(Debug)]
struct Slots {
    max: usize,
    random: u64,
    /// Partitions of all sessions.
    partitions: usize,
    by_id: BTreeMap<i32, Slot>,
    by_use: BTreeSet<(i64, i32)>,
    evictable_by_all: BTreeSet<Rank>,
    evictable_by_followers: BTreeSet<Rank>,
}

impl SessionCache {
    /// A cache of `max.incremental.fetch.session.cache.slots` sessions; `seed` makes their ids.
    #[must_use]
    pub fn new(slots_max: usize, seed: u64) -> Self {
        Self {
            slots: Mutex::new(Slots {
                max: slots_max,
                random: seed,
                partitions: 0,
                by_id: BTreeMap::new(),
                by_use: BTreeSet::new(),
                evictable_by_all: BTreeSet::new(),
                evictable_by_followers: BTreeSet::new(),
            }),
        }
    }

    /// The number of sessions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots().by_id.len()
    }

    /// Whether no session is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a fetch in: finds or ends its session, applies what it adds and forgets.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR:
    /// the error of the whole answer, which names no partition and session 0.
    pub fn begin(&self, now_ms: i64, request: SessionRequest) -> Result<FetchContext, ErrorCode> {
        let SessionRequest { session_id, session_epoch, by_topic_id, from_follower, .. } = request;
        if session_epoch == FINAL_EPOCH || session_epoch == INITIAL_EPOCH {
            if session_id != NO_SESSION {
                self.slots().remove(session_id);
            }
            let kind = match session_epoch {
                FINAL_EPOCH => ContextKind::Sessionless,
                _ => ContextKind::Full { by_topic_id, from_follower },
            };
            return Ok(FetchContext { kind, partitions: request.partitions });
        }
        let mut slots = self.slots();
        let Some(slot) = slots.by_id.get(&session_id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        let shared = Arc::clone(&slot.session);
        let mut session = lock(&shared);
        if session.epoch != session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_topic_id != by_topic_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for (key, target) in request.partitions {
            session.put(key, target);
        }
        for key in &request.forgotten {
            session.forget(key);
        }
        if session.is_empty() {
            slots.remove(session_id);
            return Ok(FetchContext { kind: ContextKind::Sessionless, partitions: Vec::new() });
        }
        session.epoch = next_epoch(session.epoch);
        let epoch = session.epoch;
        let partitions = session.targets();
        let size = session.len();
        drop(session);
        slots.touch(session_id, size, now_ms);
        if slots.partitions > PARTITIONS_MAX {
            // This answer still goes out; the next one begins without a session.
            slots.remove(session_id);
        }
        let kind = ContextKind::Incremental { session: shared, session_id, next_epoch: epoch };
        Ok(FetchContext { kind, partitions })
    }

    /// Takes in what is about to be answered, one outcome for each of the context's partitions,
    /// and says which of them the answer names.
    pub fn finish(&self, now_ms: i64, context: FetchContext, outcomes: &[Outcome]) -> SessionReply {
        let FetchContext { kind, partitions } = context;
        let all = vec![true; partitions.len()];
        let (session_id, error, include) = match kind {
            ContextKind::Sessionless => (NO_SESSION, ErrorCode::None, all),
            ContextKind::Full { by_topic_id, from_follower } => {
                let mut session = Session::new(by_topic_id, next_epoch(INITIAL_EPOCH));
                for ((key, target), outcome) in partitions.into_iter().zip(outcomes) {
                    session.put(key.clone(), target);
                    session.tell(&key, outcome);
                }
                let id = self.slots().create(now_ms, session, from_follower);
                (id.unwrap_or(NO_SESSION), ErrorCode::None, all)
            }
            ContextKind::Incremental { session, session_id, next_epoch } => {
                let mut session = lock(&session);
                if session.epoch == next_epoch {
                    let told = partitions.iter().zip(outcomes);
                    let include = told.map(|((key, _), outcome)| session.tell(key, outcome));
                    (session_id, ErrorCode::None, include.collect())
                } else {
                    // Another request of the same session overtook this one.
                    let none = vec![false; partitions.len()];
                    (session_id, ErrorCode::InvalidFetchSessionEpoch, none)
                }
            }
        };
        SessionReply { session_id, error, include }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Slots {
    /// Gives the session a slot and an id, if there is a slot or someone to push out.
    fn create(&mut self, now_ms: i64, session: Session, from_follower: bool) -> Option<i32> {
        let size = session.len();
        if self.by_id.len() >= self.max && !self.evict(now_ms, from_follower, size) {
            return None;
        }
        while self.partitions.saturating_add(size) > PARTITIONS_MAX {
            if !self.evict_unused(now_ms) {
                return None;
            }
        }
        let id = self.unused_id();
        let slot = Slot {
            session: Arc::new(Mutex::new(session)),
            from_follower,
            created_ms: now_ms,
            used_ms: now_ms,
            size,
        };
        self.by_id.insert(id, slot);
        self.partitions = self.partitions.saturating_add(size);
        self.touch(id, size, now_ms);
        Some(id)
    }

    /// Makes room for a session of that standing. The one unused for longest goes if it has been
    /// unused for long; else the least of those that may be pushed out, if it is the lesser.
    fn evict(&mut self, now_ms: i64, from_follower: bool, size: usize) -> bool {
        if self.evict_unused(now_ms) {
            return true;
        }
        let evictable =
            if from_follower { &self.evictable_by_followers } else { &self.evictable_by_all };
        let Some(least) = evictable.first().copied() else { return false };
        if (from_follower, size, 0) < least {
            return false;
        }
        self.remove(least.2);
        true
    }

    /// Pushes out the session that was unused for longest, if that is long.
    fn evict_unused(&mut self, now_ms: i64) -> bool {
        let Some((used_ms, oldest)) = self.by_use.first().copied() else { return false };
        if now_ms.saturating_sub(used_ms) <= SESSION_EVICTION_MS {
            return false;
        }
        self.remove(oldest);
        true
    }

    fn remove(&mut self, id: i32) {
        let Some(slot) = self.by_id.remove(&id) else { return };
        self.partitions = self.partitions.saturating_sub(slot.size);
        self.unlist(id, &slot);
    }

    /// Notes a use at `now_ms` and the session's present size.
    fn touch(&mut self, id: i32, size: usize, now_ms: i64) {
        let Some(mut slot) = self.by_id.remove(&id) else { return };
        self.unlist(id, &slot);
        slot.used_ms = now_ms;
        self.partitions = self.partitions.saturating_sub(slot.size).saturating_add(size);
        slot.size = size;
        let rank = (slot.from_follower, size, id);
        let settled = now_ms.saturating_sub(slot.created_ms) > SESSION_EVICTION_MS;
        self.by_use.insert((now_ms, id));
        if !slot.from_follower || settled {
            self.evictable_by_followers.insert(rank);
        }
        if settled {
            self.evictable_by_all.insert(rank);
        }
        self.by_id.insert(id, slot);
    }

    fn unlist(&mut self, id: i32, slot: &Slot) {
        let rank = (slot.from_follower, slot.size, id);
        self.by_use.remove(&(slot.used_ms, id));
        self.evictable_by_all.remove(&rank);
        self.evictable_by_followers.remove(&rank);
    }

    fn unused_id(&mut self) -> i32 {
        loop {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let [.., a, b, c, d] = (mixed ^ (mixed >> 31)).to_be_bytes();
            let id = i32::from_be_bytes([a & 0x7f, b, c, d]);
            if id != NO_SESSION && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both kinds of state are caches: whole at every step, and harmless when a step was lost.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
