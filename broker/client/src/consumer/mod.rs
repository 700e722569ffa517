//! Consuming partitions by offset: one fetch on its way to each leader, the next one sent before
//! the records of the last are handed out.

mod records;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use wire::ids::Uuid;
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::messages::fetch_response::FetchResponse;
use wire::{ErrorCode, Request};

pub use records::{FetchedBatch, FetchedRecord};

use crate::client::Client;
use crate::connection::deadline_in;
use crate::error::Error;

/// The first version of Fetch that names topics by id.
const BY_ID: i16 = 13;
/// Pause before a leader that failed is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Pause before a partition without a leader is looked at again: each look holds up the others.
const NO_LEADER_PAUSE: Duration = Duration::from_secs(5);

/// How to consume.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// How long a broker may wait for records to come.
    pub max_wait: Duration,
    /// Bytes worth waiting for.
    pub min_bytes: i32,
    /// The most bytes of one answer.
    pub max_bytes: i32,
    /// The most bytes of one partition in an answer.
    pub partition_max_bytes: i32,
    /// The most that a batch may hold when decompressed.
    pub batch_bytes_max: usize,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 * 1024 * 1024,
            partition_max_bytes: 4 * 1024 * 1024,
            batch_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// A partition to consume, and where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset wanted.
    pub offset: i64,
}

/// What one answer brought for one partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset after what is here.
    pub next_offset: i64,
    /// The end of what a consumer may see.
    pub high_watermark: i64,
    /// The batches, from the offset asked for on.
    pub batches: Vec<FetchedBatch>,
}

type Place = (Arc<str>, i32);

#[derive(Debug, Clone)]
struct Position {
    offset: i64,
    leader: Option<i32>,
    topic_id: Uuid,
    not_before: Option<Instant>,
    /// Since when its leader answers that its disk fails.
    failing_since: Option<Instant>,
}

/// What a leader answered, or why it did not.
struct Answer {
    leader: i32,
    asked: Vec<(Place, i64, Uuid)>,
    response: Result<(FetchResponse, i16), Error>,
}

/// Consumes the partitions it is told to.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    positions: BTreeMap<Place, Position>,
    fetching: BTreeMap<i32, usize>,
    fetches: JoinSet<(u64, Answer)>,
    /// Answers to fetches that a later assignment made void are dropped by this number.
    generation: u64,
}

impl Consumer {
    /// A consumer without partitions, with connections of its own.
    #[must_use]
    pub fn new(client: &Client, config: ConsumerConfig) -> Self {
        Self {
            client: client.apart(),
            config,
            positions: BTreeMap::new(),
            fetching: BTreeMap::new(),
            fetches: JoinSet::new(),
            generation: 0,
        }
    }

    /// Consumes exactly these partitions from now on.
    pub fn assign(&mut self, assignments: impl IntoIterator<Item = Assignment>) {
        self.generation += 1;
        self.fetching.clear();
        self.fetches.abort_all();
        self.positions = assignments
            .into_iter()
            .map(|one| {
                let position = Position {
                    offset: one.offset,
                    leader: None,
                    topic_id: Uuid::ZERO,
                    not_before: None,
                    failing_since: None,
                };
                ((one.topic, one.partition), position)
            })
            .collect();
    }

    /// The next offset of every partition.
    pub fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.positions.iter().map(|((topic, index), position)| (&**topic, *index, position.offset))
    }

    /// Waits for records, at most until the deadline; gives nothing when none came.
    ///
    /// # Errors
    /// An offset is out of range, a batch is damaged, or a partition or topic is gone.
    pub async fn poll(&mut self, deadline: Instant) -> Result<Vec<Fetched>, Error> {
        loop {
            let next_try = self.ask_leaders(deadline).await?;
            let until = next_try.map_or(deadline, |time| time.min(deadline));
            let answer = match self.fetches.is_empty() {
                true => {
                    tokio::time::sleep_until(until).await;
                    None
                }
                false => timeout_at(until, self.fetches.join_next()).await.ok().flatten(),
            };
            // A fetch that was aborted belongs to an assignment of the past.
            if let Some(Ok((generation, answer))) = answer
                && generation == self.generation
            {
                let fetched = self.take_in(answer)?;
                if !fetched.is_empty() {
                    // The leader gathers the next answer while this one is looked at.
                    self.ask_leaders(deadline).await?;
                    return Ok(fetched);
                }
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
        }
    }

    /// Sends a fetch to each leader that has none; gives the time to look again.
    async fn ask_leaders(&mut self, deadline: Instant) -> Result<Option<Instant>, Error> {
        self.find_leaders(deadline).await?;
        let now = Instant::now();
        let mut by_leader: BTreeMap<i32, Vec<(Place, i64, Uuid)>> = BTreeMap::new();
        for (place, position) in &self.positions {
            let waits = position.not_before.is_some_and(|time| time > now);
            if let Some(leader) = position.leader.filter(|_| !waits)
                && !self.fetching.contains_key(&leader)
            {
                let asked = (place.clone(), position.offset, position.topic_id);
                by_leader.entry(leader).or_default().push(asked);
            }
        }
        for (leader, asked) in by_leader {
            self.fetching.insert(leader, asked.len());
            let (client, config) = (self.client.clone(), self.config.clone());
            let generation = self.generation;
            self.fetches.spawn(async move {
                let response = fetch(leader, &client, &config, &asked).await;
                (generation, Answer { leader, asked, response })
            });
        }
        let later = self.positions.values().filter_map(|position| position.not_before);
        Ok(later.filter(|time| *time > now).min())
    }

    async fn find_leaders(&mut self, deadline: Instant) -> Result<(), Error> {
        let now = Instant::now();
        let lost = |position: &Position| {
            position.leader.is_none() && position.not_before.is_none_or(|time| time <= now)
        };
        let mut topics: Vec<Arc<str>> = self
            .positions
            .iter()
            .filter(|(_, position)| lost(position))
            .map(|((topic, _), _)| Arc::clone(topic))
            .collect();
        topics.dedup();
        for topic in topics {
            let patience = deadline_in(self.client.config().timeout).max(deadline);
            let known = self.client.topic_anew(&topic, false, patience).await?;
            for ((name, index), position) in &mut self.positions {
                if *name != topic {
                    continue;
                }
                let partition = known.partition(*index).ok_or_else(|| Error::NoPartition {
                    topic: topic.to_string(),
                    partition: *index,
                    count: known.partitions.len(),
                })?;
                position.leader = partition.leader;
                position.topic_id = known.id;
                if position.leader.is_none() {
                    position.not_before = Some(Instant::now() + NO_LEADER_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn take_in(&mut self, answer: Answer) -> Result<Vec<Fetched>, Error> {
        self.fetching.remove(&answer.leader);
        let (response, version) = match answer.response {
            Ok(response) => response,
            Err(error) if error.is_retriable() || matches!(error, Error::TimedOut { .. }) => {
                for (place, ..) in &answer.asked {
                    self.look_again(place);
                }
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        Error::check(response.error_code, None, "fetch")?;
        let mut fetched = Vec::new();
        for topic in response.responses {
            for partition in topic.partitions {
                let place = answer.asked.iter().find(|((name, index), _, id)| {
                    let same = if version >= BY_ID {
                        *id == topic.topic_id
                    } else {
                        **name == *topic.topic
                    };
                    same && *index == partition.partition_index
                });
                let Some((place, offset, _)) = place else { continue };
                fetched.extend(self.take_partition(place, *offset, partition)?);
            }
        }
        Ok(fetched)
    }

    fn take_partition(
        &mut self,
        place: &Place,
        asked: i64,
        answer: wire::messages::fetch_response::PartitionData,
    ) -> Result<Option<Fetched>, Error> {
        let about = || format!("{}-{} at offset {asked}", place.0, place.1);
        match Error::check(answer.error_code, None, about()) {
            Ok(()) => {}
            Err(error) => {
                let gone = [ErrorCode::UnknownTopicId, ErrorCode::InconsistentTopicId];
                let moved = error.code().is_some_and(|code| gone.contains(&code));
                if error.code() == Some(ErrorCode::KafkaStorageError) {
                    self.check_patience(place, asked, &error, Instant::now())?;
                }
                if moved || error.is_retriable() {
                    self.look_again(place);
                    return Ok(None);
                }
                return Err(error);
            }
        }
        let bytes = answer.records.map(wire::records_slot::Records::into_bytes).unwrap_or_default();
        let (batches, next_offset) = records::batches(bytes, asked, self.config.batch_bytes_max)
            .map_err(|source| Error::Batch { about: about(), source: Arc::new(source) })?;
        let Some(position) = self.positions.get_mut(place) else { return Ok(None) };
        position.offset = next_offset;
        position.failing_since = None;
        if next_offset == asked {
            return Ok(None);
        }
        Ok(Some(Fetched {
            topic: Arc::clone(&place.0),
            partition: place.1,
            next_offset,
            high_watermark: answer.high_watermark,
            batches,
        }))
    }

    /// Gives up a partition whose records its leader has not been able to read for the client's
    /// time-out: a corrupt batch does not heal, and silence tells nobody.
    fn check_patience(
        &mut self,
        place: &Place,
        asked: i64,
        error: &Error,
        now: Instant,
    ) -> Result<(), Error> {
        let after = self.client.config().timeout;
        let Some(position) = self.positions.get_mut(place) else { return Ok(()) };
        let since = *position.failing_since.get_or_insert(now);
        if now < since + after {
            return Ok(());
        }
        let what = format!("consume from {}-{} at offset {asked}", place.0, place.1);
        Err(Error::TimedOut { what, after, last: Some(Box::new(error.clone())) })
    }

    fn look_again(&mut self, place: &Place) {
        if let Some(position) = self.positions.get_mut(place) {
            position.leader = None;
            position.not_before = Some(Instant::now() + RETRY_PAUSE);
        }
    }
}

async fn fetch(
    leader: i32,
    client: &Client,
    config: &ConsumerConfig,
    asked: &[(Place, i64, Uuid)],
) -> Result<(FetchResponse, i16), Error> {
    let deadline = deadline_in(client.config().request_timeout + config.max_wait);
    let connection = client.broker(leader, deadline).await?;
    let mut version = connection.version::<FetchRequest>()?;
    if version >= BY_ID && asked.iter().any(|(_, _, id)| id.is_zero()) {
        let lower = connection.versions().highest_up_to::<FetchRequest>(BY_ID - 1);
        version = lower.ok_or_else(|| Error::Unsupported {
            address: connection.address().to_owned(),
            api: FetchRequest::KEY,
        })?;
    }
    let request = request(config, asked, version);
    let response = connection.start_at(&request, version).await?.wait(deadline).await?;
    Ok((response, version))
}

fn request(config: &ConsumerConfig, asked: &[(Place, i64, Uuid)], version: i16) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut before: Option<&str> = None;
    for ((topic, index), offset, id) in asked {
        let partition = FetchPartition {
            partition: *index,
            fetch_offset: *offset,
            current_leader_epoch: -1,
            partition_max_bytes: config.partition_max_bytes,
            ..FetchPartition::default()
        };
        match topics.last_mut().filter(|_| before == Some(topic)) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: if version >= BY_ID { String::new() } else { topic.to_string() },
                topic_id: if version >= BY_ID { *id } else { Uuid::ZERO },
                partitions: vec![partition],
            }),
        }
        before = Some(topic);
    }
    FetchRequest {
        max_wait_ms: i32::try_from(config.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: config.min_bytes,
        max_bytes: config.max_bytes,
        // No session: every fetch names all of its partitions.
        session_id: 0,
        session_epoch: -1,
        topics,
        ..FetchRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use wire::messages::fetch_response::PartitionData;

    use super::*;
    use crate::client::ClientConfig;

    #[tokio::test]
    async fn a_partition_that_cannot_be_read_is_given_up_after_the_timeout() {
        let timeout = Duration::from_secs(7);
        let bootstrap = "127.0.0.1:1".to_owned();
        let config = ClientConfig { bootstrap, timeout, ..ClientConfig::default() };
        let mut consumer = Consumer::new(&Client::new(config).unwrap(), ConsumerConfig::default());
        let place: Place = (Arc::from("t"), 0);
        let topic = Arc::clone(&place.0);
        consumer.assign([Assignment { topic, partition: 0, offset: 5 }]);
        let bad = |code: ErrorCode| PartitionData { error_code: code.code(), ..Default::default() };
        let failing = |consumer: &Consumer| consumer.positions[&place].failing_since;
        let storage = bad(ErrorCode::KafkaStorageError);
        assert!(consumer.take_partition(&place, 5, storage).unwrap().is_none());
        let since = failing(&consumer).unwrap();
        let error = Error::check(ErrorCode::KafkaStorageError.code(), None, "t-0").unwrap_err();
        let soon = since + timeout - Duration::from_millis(1);
        consumer.check_patience(&place, 5, &error, soon).unwrap();
        let given_up = consumer.check_patience(&place, 5, &error, since + timeout);
        let error = given_up.unwrap_err().to_string();
        assert!(error.contains("t-0 at offset 5: no success within 7s"), "{error}");
        assert!(error.contains("KAFKA_STORAGE_ERROR"), "{error}");
        // Good news begin the time anew.
        assert!(consumer.take_partition(&place, 5, bad(ErrorCode::None)).unwrap().is_none());
        assert_eq!(failing(&consumer), None);
    }
}
