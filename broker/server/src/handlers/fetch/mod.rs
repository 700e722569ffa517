//! Fetch: byte ranges of partitions, found under each partition's short lock and sent by sendfile.
//!
//! A fetch that comes up short parks at every partition and looks at all of them again when enough
//! bytes have come, when its time is up, or when the broker drains.

use std::sync::Arc;
use std::time::Duration;

use replication::fetch_session::{FetchContext, FetchKey, FetchTarget, SessionRequest, TopicKey};
use replication::purgatory::{FetchWait, Parked, WaitGuard};
use storage::FileRange;
use tokio::time::{Instant, sleep_until};
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use wire::messages::fetch_request::{FetchPartition, FetchRequest};
use wire::messages::fetch_response::FetchResponse;

mod read;
mod respond;

use super::wake::Sleeper;
use crate::broker::Broker;
use crate::connection::told_to_stop;
use crate::dispatch::{Answer, Call};
use read::{Reader, Round};

/// From here on topics are named by id.
const VERSION_BY_ID: i16 = 13;
/// From here on a follower names itself elsewhere.
const VERSION_REPLICA_STATE: i16 = 15;

pub(crate) type Response = FetchResponse<FileRange>;

pub(crate) fn handle(call: &Call, request: FetchRequest) -> Answer<Response> {
    let now = call.broker.now_ms();
    let reader = Reader::new(call, &request);
    let (wait, min_bytes) = (request.max_wait_ms, request.min_bytes);
    let session = session_request(call.version, &reader, request);
    let context = match call.broker.node.fetch_sessions().begin(now, session) {
        Ok(context) => context,
        Err(error) => {
            return Answer::Now(Response { error_code: error.code(), ..Response::default() });
        }
    };
    let round = reader.read(&call.broker, &context);
    let is_enough = round.ends_poll || round.bytes >= i64::from(min_bytes);
    if is_enough || wait <= 0 || context.partitions().is_empty() {
        return Answer::Now(respond::respond(&call.broker, context, round));
    }
    let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
    let poll = Poll {
        broker: Arc::clone(&call.broker),
        reader,
        context,
        min_bytes: i64::from(min_bytes),
        deadline: Instant::now() + wait,
    };
    Answer::Later(Box::pin(async move { Ok(poll.run(round).await) }))
}

fn session_request(version: i16, reader: &Reader, request: FetchRequest) -> SessionRequest {
    let by_topic_id = version >= VERSION_BY_ID;
    let key = |name: String, id| match by_topic_id {
        true => TopicKey::Id(TopicId(id)),
        false => TopicKey::Name(Arc::from(name)),
    };
    let mut partitions = Vec::new();
    for topic in request.topics {
        let key = key(topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|partition| {
            let index = PartitionIndex(partition.partition);
            (FetchKey { topic: key.clone(), index }, target(partition))
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let key = key(topic.topic, topic.topic_id);
        let indexes = topic.partitions.into_iter().map(PartitionIndex);
        forgotten.extend(indexes.map(|index| FetchKey { topic: key.clone(), index }));
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        by_topic_id,
        from_follower: reader.is_follower(),
        partitions,
        forgotten,
    }
}

fn target(partition: &FetchPartition) -> FetchTarget {
    FetchTarget {
        fetch_offset: Offset(partition.fetch_offset),
        log_start_offset: Offset(partition.log_start_offset),
        max_bytes: partition.partition_max_bytes,
        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
        last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
    }
}

/// A fetch that waits for bytes.
struct Poll {
    broker: Arc<Broker>,
    reader: Reader,
    context: FetchContext,
    min_bytes: i64,
    deadline: Instant,
}

impl Poll {
    async fn run(self, mut round: Round) -> Response {
        let mut stopping = self.broker.stopping.clone();
        loop {
            let sleeper = Sleeper::new();
            let missing = self.min_bytes - round.bytes;
            let wait = FetchWait::new(missing, Arc::clone(&sleeper) as Arc<_>);
            let Some((guards, look_now)) = self.park(&round, &wait) else {
                // No room to wait: what there is has to do.
                return respond::respond(&self.broker, self.context, round);
            };
            let is_last = if look_now {
                Instant::now() >= self.deadline
            } else {
                tokio::select! {
                    () = sleeper.sleep() => false,
                    () = sleep_until(self.deadline) => true,
                    () = told_to_stop(&mut stopping) => true,
                }
            };
            drop(guards);
            round = self.reader.read(&self.broker, &self.context);
            if is_last || round.ends_poll || round.bytes >= self.min_bytes {
                return respond::respond(&self.broker, self.context, round);
            }
            if look_now {
                // Bytes come faster than they can be parked for; others have their turn meanwhile.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits at every partition; `true` = something has changed already, `None` = there is no room.
    fn park(&self, round: &Round, wait: &Arc<FetchWait>) -> Option<(Vec<WaitGuard>, bool)> {
        let mut guards = Vec::with_capacity(round.found.len());
        for found in &round.found {
            let Some(partition) = &found.partition else { continue };
            let seen = Offset(found.data.high_watermark);
            match partition.park_fetch(seen, Arc::clone(wait)) {
                Parked::Waiting(guard) => guards.push(guard),
                Parked::Ready => return Some((guards, true)),
                Parked::Full => return None,
            }
        }
        Some((guards, false))
    }
}

/// The answer's code for a fetch that is no consumer's: there are no followers yet.
const NOT_A_REPLICA: ErrorCode = ErrorCode::NotLeaderOrFollower;
