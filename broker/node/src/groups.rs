//! The group coordinator's home: one shard per partition of `__consumer_offsets`.
//!
//! A request is decided, its records are appended and replayed, all under the shard's lock; the
//! answers leave, outside of it, when the high watermark has passed everything they saw. Answers
//! go by callback, because a join or a sync may wait for others: it is called once, on whichever
//! thread brings the answer, and must not block.
//!
//! A shard lives as long as its partition is led here: with the leadership it goes, whoever waits
//! is sent to the next coordinator, and when the leadership comes back the log is read again.
//!
//! Locks: `applying` before a shard's before a partition's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coordinator::{Context, Decision, Reply, Request, Response, Shard, Token, partition_for};
use metadata::Image;
use replication::Partition;
use wire::ErrorCode;
use wire::ids::{BrokerId, PartitionIndex, TopicId};
use wire::messages::describe_groups_response::DescribedGroup;
use wire::messages::list_groups_response::ListedGroup;

use crate::group_log::{append_records, coordinator_code, release};
use crate::node::Node;
use crate::random::Random;

/// The time at which members that are not there begin their sessions.
const NO_MEMBERS_MS: i64 = 0;

/// The topic that holds groups and their offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Takes the answer to a group request.
pub type GroupReply = Box<dyn FnOnce(Response) + Send>;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct ClientContext<'a> {
    /// The version of the request.
    pub version: i16,
    /// The client's own name.
    pub client_id: &'a str,
    /// Where it connects from, as Kafka writes it (`/127.0.0.1`).
    pub client_host: &'a str,
}

/// A request that waits for others; see [`Node::cancel_group_request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTicket {
    pub(crate) place: Place,
    pub(crate) token: Token,
    pub(crate) group: String,
}

pub(crate) type Place = (TopicId, PartitionIndex);

/// All shards.
pub(crate) struct Groups {
    pub(crate) config: coordinator::Config,
    shards: Mutex<BTreeMap<Place, Arc<Home>>>,
    /// A partition has come since logs were last read.
    arrived: AtomicBool,
    random: Mutex<Random>,
}

/// One shard and who waits for its answers.
pub(crate) struct Home {
    state: Mutex<HomeState>,
}

pub(crate) struct HomeState {
    pub(crate) shard: Shard,
    pub(crate) loading: bool,
    /// The partition is not here any more.
    pub(crate) gone: bool,
    next_token: Token,
    pub(crate) waiting: BTreeMap<Token, Waiter>,
}

/// Who waits for an answer.
pub(crate) struct Waiter {
    pub(crate) reply: GroupReply,
    /// The answer when none comes from the group, for a request that waits for others.
    pub(crate) refusal: Option<Response>,
}

impl Groups {
    pub(crate) fn new(config: coordinator::Config, random: Random) -> Self {
        let random = Mutex::new(random);
        Self { config, shards: Mutex::default(), arrived: AtomicBool::new(false), random }
    }

    pub(crate) fn home(&self, place: Place) -> Arc<Home> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let home = shards.entry(place).or_insert_with(|| {
            Arc::new(Home {
                state: Mutex::new(HomeState {
                    shard: Shard::new(self.config.clone()),
                    loading: false,
                    gone: false,
                    next_token: 0,
                    waiting: BTreeMap::new(),
                }),
            })
        });
        Arc::clone(home)
    }

    pub(crate) fn all(&self) -> Vec<(Place, Arc<Home>)> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|(place, home)| (*place, Arc::clone(home))).collect()
    }

    /// Takes a shard out, unless another has its place already.
    pub(crate) fn remove(&self, place: Place, home: &Arc<Home>) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.get(&place).is_some_and(|now| Arc::ptr_eq(now, home)) {
            shards.remove(&place);
        }
    }

    /// A partition with groups in it has come, or come back: its log is to be read.
    pub(crate) fn note_arrival(&self) {
        self.arrived.store(true, Ordering::SeqCst);
    }

    /// Whether a partition came since the last time this was asked.
    pub(crate) fn take_arrival(&self) -> bool {
        self.arrived.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn find(&self, place: Place) -> Option<Arc<Home>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    fn random(&self) -> u128 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).u128()
    }
}

impl Home {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HomeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HomeState {
    /// A partition without records has nothing to load.
    fn load_nothing(&mut self, partition: &Partition) {
        let idle = !self.shard.is_loaded() && !self.loading;
        if idle && partition.is_empty() && partition.leads() {
            self.shard.finish_loading(NO_MEMBERS_MS);
        }
    }

    /// Appends, replays, and gives the answers with those who wait for them.
    fn carry_out(
        &mut self,
        now_ms: i64,
        partition: &Partition,
        decision: Decision,
    ) -> Result<Vec<(GroupReply, Response)>, replication::Error> {
        let mut failure = None;
        let replies = if decision.records.is_empty() {
            decision.replies
        } else {
            match append_records(now_ms, partition, &decision.records) {
                Ok(()) => {
                    for record in &decision.records {
                        // The shard has just made it, so it reads it.
                        let _ = self.shard.replay(record);
                    }
                    decision.replies
                }
                Err(error) => {
                    let code = coordinator_code(&error);
                    failure = Some(error);
                    decision.refused(code)
                }
            }
        };
        let answers = self.answers(replies);
        match failure {
            // The answers say so themselves.
            Some(error) if answers.is_empty() => Err(error),
            _ => Ok(answers),
        }
    }

    fn answers(&mut self, replies: Vec<Reply>) -> Vec<(GroupReply, Response)> {
        let waiting = &mut self.waiting;
        let with = |reply: Reply| Some((waiting.remove(&reply.token)?.reply, reply.response));
        replies.into_iter().filter_map(with).collect()
    }
}

impl Node {
    /// Serves one request for one group. The answer comes through `reply`: before this returns,
    /// or later, and then the ticket can take the request back.
    pub fn group_request(
        &self,
        now_ms: i64,
        client: &ClientContext<'_>,
        request: &Request,
        reply: GroupReply,
    ) -> Option<GroupTicket> {
        let image = self.image();
        let (place, partition) = match self.group_place(&image, request.group()) {
            Ok(found) => found,
            Err(code) => {
                reply(request.refuse(client.version, code));
                return None;
            }
        };
        let home = self.groups.home(place);
        let random = self.groups.random();
        let mut state = home.lock();
        if state.gone {
            drop(state);
            reply(request.refuse(client.version, ErrorCode::NotCoordinator));
            return None;
        }
        state.load_nothing(&partition);
        state.next_token += 1;
        let token = state.next_token;
        state.waiting.insert(token, Waiter { reply, refusal: None });
        let context = Context {
            now_ms,
            version: client.version,
            client_id: client.client_id,
            client_host: client.client_host,
            image: &image,
            random,
        };
        let decision = state.shard.handle(&context, token, request);
        let mut steps = vec![state.carry_out(now_ms, &partition, decision)];
        if state.shard.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
            // A rebalance without a delay completes with the request that began it.
            let due = state.shard.tick(now_ms);
            steps.push(state.carry_out(now_ms, &partition, due));
        }
        let group = || request.group().to_owned();
        let ticket = state.waiting.get_mut(&token).map(|waiter| {
            waiter.refusal = Some(request.refuse(client.version, ErrorCode::NotCoordinator));
            GroupTicket { place, token, group: group() }
        });
        drop(state);
        for done in steps {
            self.finish_group_step(&partition, done);
        }
        ticket
    }

    /// Lets time pass in all groups: sessions end, rebalances complete. Worth calling every 100 ms
    /// or so.
    pub fn tick_groups(&self, now_ms: i64) {
        self.drop_lost_shards();
        for (place, home) in self.groups.all() {
            let Some(partition) = self.led(place) else { continue };
            let mut state = home.lock();
            if state.shard.next_deadline().is_none_or(|deadline| deadline > now_ms) {
                continue;
            }
            let decision = state.shard.tick(now_ms);
            let done = state.carry_out(now_ms, &partition, decision);
            drop(state);
            self.finish_group_step(&partition, done);
        }
    }

    /// Makes `__consumer_offsets` unless it is there, on a node that is alone. Blocks on the disk
    /// when it is not.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE when it cannot be made.
    pub fn prepare_groups(&self, now_ms: i64) -> Result<(), ErrorCode> {
        if self.groups_prepared() {
            return Ok(());
        }
        // Whether another call was faster shows in the image, not in the answer.
        self.auto_create_topics(now_ms, &[OFFSETS_TOPIC]);
        match self.groups_prepared() {
            true => Ok(()),
            false => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Whether `__consumer_offsets` exists.
    #[must_use]
    pub fn groups_prepared(&self) -> bool {
        self.image.load().topics.by_name(OFFSETS_TOPIC).is_some()
    }

    /// The broker that keeps a group: the leader of its partition of `__consumer_offsets`.
    #[must_use]
    pub fn group_coordinator(&self, image: &Image, group: &str) -> Option<BrokerId> {
        let topic = image.topics.by_name(OFFSETS_TOPIC)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let partition = topic.partition(PartitionIndex(partition_for(group, count)))?;
        partition.has_leader().then_some(partition.leader)
    }

    /// One group as DescribeGroups answers it.
    #[must_use]
    pub fn describe_group(&self, group: &str, version: i16) -> DescribedGroup {
        let refused = |code: ErrorCode| DescribedGroup {
            group_id: group.to_owned(),
            error_code: code.into(),
            ..Default::default()
        };
        match self.group_place(&self.image(), group) {
            Ok((place, partition)) => {
                let home = self.groups.home(place);
                let mut state = home.lock();
                state.load_nothing(&partition);
                if !state.shard.is_loaded() {
                    return refused(ErrorCode::CoordinatorLoadInProgress);
                }
                state.shard.describe(group, version)
            }
            Err(code) => refused(code),
        }
    }

    /// All groups as ListGroups answers them; empty filters let everything pass.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS when some are not loaded yet.
    pub fn list_groups(
        &self,
        states: &[String],
        types: &[String],
    ) -> Result<Vec<ListedGroup>, ErrorCode> {
        let mut listed = Vec::new();
        let Some(topic) = self.topic_by_name(OFFSETS_TOPIC) else { return Ok(listed) };
        for partition in topic.iter().filter(|partition| partition.check_leading().is_ok()) {
            let home = self.groups.home((topic.id, partition.index()));
            let mut state = home.lock();
            state.load_nothing(partition);
            if !state.shard.is_loaded() {
                return Err(ErrorCode::CoordinatorLoadInProgress);
            }
            listed.extend(state.shard.list(states, types));
        }
        Ok(listed)
    }

    /// The shard and the partition of a group.
    fn group_place(
        &self,
        image: &Image,
        group: &str,
    ) -> Result<(Place, Arc<Partition>), ErrorCode> {
        let topic = image.topics.by_name(OFFSETS_TOPIC);
        let topic = topic.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let index = PartitionIndex(partition_for(group, count));
        let partition = self.partition(topic.id, index).map_err(|_| ErrorCode::NotCoordinator)?;
        partition.check_leading().map_err(|_| ErrorCode::NotCoordinator)?;
        Ok(((topic.id, index), partition))
    }

    /// The partition of a shard, while it is led here.
    pub(crate) fn led(&self, place: Place) -> Option<Arc<Partition>> {
        self.partition(place.0, place.1).ok().filter(|partition| partition.leads())
    }

    /// Releases the answers of a step; called without the shard's lock.
    pub(crate) fn finish_group_step(
        &self,
        partition: &Arc<Partition>,
        done: Result<Vec<(GroupReply, Response)>, replication::Error>,
    ) {
        match done {
            Ok(answers) => release(partition, answers),
            Err(error) => self.partition_failed(partition, &error),
        }
    }
}

#[cfg(test)]
mod tests;
