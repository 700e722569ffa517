//! A member of a classic consumer group: joins, is given partitions, keeps its place, commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;
use wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire::messages::join_group_response::JoinGroupResponse;
use wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use wire::{ErrorCode, Message, Request};

use crate::client::Client;
use crate::connection::{Connection, deadline_in};
use crate::error::Error;

/// The version of the consumer protocol that is written inside join and sync.
const PROTOCOL_VERSION: i16 = 0;
/// The strategy by which partitions are shared out.
const STRATEGY: &str = "range";
/// The first versions that ask for, or about, several groups at once.
const COORDINATORS_LIST: i16 = 4;
const GROUPS_LIST: i16 = 8;
/// From these versions on, topics are named by id; names are enough here.
const COMMIT_BY_NAME: i16 = 9;
const FETCH_BY_NAME: i16 = 9;
/// The first version of LeaveGroup with a list of members.
const LEAVE_LIST: i16 = 3;

/// How to be a member.
#[derive(Debug, Clone)]
pub struct MemberConfig {
    /// The group.
    pub group: String,
    /// The topics wanted.
    pub topics: Vec<String>,
    /// Without a heartbeat for this long, the group goes on without the member.
    pub session_timeout: Duration,
    /// How long the member may take to come back when the group gathers anew.
    pub rebalance_timeout: Duration,
}

/// A place in the group's present generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The partitions given, by topic.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

/// A member of a group.
#[derive(Debug)]
pub struct Member {
    client: Client,
    config: MemberConfig,
    id: String,
    generation: i32,
    coordinator: Option<i32>,
}

impl Member {
    /// A member that has not joined yet.
    #[must_use]
    pub fn new(client: &Client, config: MemberConfig) -> Self {
        let (client, id) = (client.clone(), String::new());
        Self { client, config, id, generation: -1, coordinator: None }
    }

    /// How often [`Member::heartbeat`] is to be called.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Duration {
        (self.config.session_timeout / 3).min(Duration::from_secs(3))
    }

    fn about(&self) -> String {
        format!("group {}", self.config.group)
    }

    /// Joins, or joins again, and gives the partitions.
    ///
    /// # Errors
    /// The group refuses, or there is no coordinator in time.
    pub async fn join(&mut self) -> Result<Joined, Error> {
        let deadline = self.client.deadline() + self.config.rebalance_timeout;
        loop {
            let error = match self.join_once(deadline).await {
                Ok(joined) => return Ok(joined),
                Err(error) => error,
            };
            if !self.may_try_again(&error) {
                return Err(error);
            }
            if Instant::now() >= deadline {
                let (what, after) = (self.about(), self.client.config().timeout);
                return Err(Error::TimedOut { what, after, last: Some(Box::new(error)) });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes what an error says about this member's place; whether trying again makes sense.
    fn may_try_again(&mut self, error: &Error) -> bool {
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => {
                self.id.clear();
                true
            }
            Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => true,
            Some(
                ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::CoordinatorLoadInProgress,
            )
            | None => {
                self.coordinator = None;
                error.is_retriable()
            }
            Some(_) => error.is_retriable(),
        }
    }

    async fn join_once(&mut self, deadline: Instant) -> Result<Joined, Error> {
        let connection = self.coordinator(deadline).await?;
        let joined = self.join_group(&connection, deadline).await?;
        self.generation = joined.generation_id;
        self.id.clone_from(&joined.member_id);
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        let assignments = match leads {
            true => self.share_out(&joined, deadline).await?,
            false => Vec::new(),
        };
        let request = SyncGroupRequest {
            group_id: self.config.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: joined.protocol_name,
            assignments,
            ..SyncGroupRequest::default()
        };
        let response = connection.call(&request, deadline).await?;
        Error::check(response.error_code, None, self.about())?;
        let partitions = read_assignment(response.assignment)
            .map_err(|source| malformed::<SyncGroupRequest>(&connection, source))?;
        Ok(Joined { generation: self.generation, partitions })
    }

    async fn join_group(
        &mut self,
        connection: &Connection,
        deadline: Instant,
    ) -> Result<JoinGroupResponse, Error> {
        let subscription = ConsumerProtocolSubscription {
            topics: self.config.topics.clone(),
            ..ConsumerProtocolSubscription::default()
        };
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let mut request = JoinGroupRequest {
            group_id: self.config.group.clone(),
            session_timeout_ms: milliseconds(self.config.session_timeout),
            rebalance_timeout_ms: milliseconds(self.config.rebalance_timeout),
            member_id: self.id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: STRATEGY.to_owned(),
                metadata: versioned(&subscription)?,
            }],
            ..JoinGroupRequest::default()
        };
        let mut response = connection.call(&request, deadline).await?;
        if response.error_code == ErrorCode::MemberIdRequired.code() {
            request.member_id = response.member_id;
            response = connection.call(&request, deadline).await?;
        }
        Error::check(response.error_code, None, self.about())?;
        Ok(response)
    }

    /// The leader's part: who gets which partitions.
    async fn share_out(
        &self,
        joined: &JoinGroupResponse,
        deadline: Instant,
    ) -> Result<Vec<SyncGroupRequestAssignment>, Error> {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for member in &joined.members {
            for topic in read_subscription(member.metadata.clone()).unwrap_or_default() {
                wanted.entry(topic).or_default().push(member.member_id.clone());
            }
        }
        let mut counts = BTreeMap::new();
        for topic in wanted.keys() {
            // A topic that is not there yet has no partitions to give.
            let known = self.client.topic(topic, false, deadline).await;
            counts.insert(topic.clone(), known.map_or(0, |topic| topic.partitions.len()));
        }
        let shares = range(&wanted, &counts);
        joined
            .members
            .iter()
            .map(|member| {
                let share = shares.get(&member.member_id).cloned().unwrap_or_default();
                let assigned_partitions = share
                    .into_iter()
                    .map(|(topic, partitions)| TopicPartition { topic, partitions })
                    .collect();
                let assignment = ConsumerProtocolAssignment {
                    assigned_partitions,
                    ..ConsumerProtocolAssignment::default()
                };
                Ok(SyncGroupRequestAssignment {
                    member_id: member.member_id.clone(),
                    assignment: versioned(&assignment)?,
                })
            })
            .collect()
    }

    /// Says that the member is there. `false` means that it has to join again.
    ///
    /// # Errors
    /// The group refuses, or there is no coordinator in time.
    pub async fn heartbeat(&mut self) -> Result<bool, Error> {
        let deadline = self.client.deadline();
        let request = HeartbeatRequest {
            group_id: self.config.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        let called = async {
            let connection = self.coordinator(deadline).await?;
            let response = connection.call(&request, deadline).await?;
            Error::check(response.error_code, None, self.about())
        };
        match called.await {
            Ok(()) => Ok(true),
            Err(error) if self.may_try_again(&error) => Ok(error.code().is_none_or(|code| {
                !matches!(
                    code,
                    ErrorCode::UnknownMemberId
                        | ErrorCode::IllegalGeneration
                        | ErrorCode::RebalanceInProgress
                )
            })),
            Err(error) => Err(error),
        }
    }

    /// Commits the next offsets of partitions.
    ///
    /// # Errors
    /// The group refuses, or there is no coordinator in time.
    pub async fn commit(&mut self, offsets: &BTreeMap<(Arc<str>, i32), i64>) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic, partition), offset) in offsets {
            topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: *partition,
                committed_offset: *offset,
                committed_leader_epoch: -1,
                committed_metadata: Some(String::new()),
            });
        }
        let request = OffsetCommitRequest {
            group_id: self.config.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name: name.to_owned(),
                    partitions,
                    ..OffsetCommitRequestTopic::default()
                })
                .collect(),
            ..OffsetCommitRequest::default()
        };
        let deadline = self.client.deadline();
        loop {
            let error = match self.commit_once(&request, deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = error.is_retriable() && self.may_try_again(&error);
            if !again || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn commit_once(
        &mut self,
        request: &OffsetCommitRequest,
        deadline: Instant,
    ) -> Result<(), Error> {
        let connection = self.coordinator(deadline).await?;
        let version = up_to::<OffsetCommitRequest>(&connection, COMMIT_BY_NAME)?;
        let response = connection.start_at(request, version).await?.wait(deadline).await?;
        for topic in response.topics {
            for partition in topic.partitions {
                let about = format!("commit of {}-{}", topic.name, partition.partition_index);
                Error::check(partition.error_code, None, about)?;
            }
        }
        Ok(())
    }

    /// The committed offsets of the partitions that have one.
    ///
    /// # Errors
    /// The group refuses, or there is no coordinator in time.
    pub async fn committed(
        &mut self,
        partitions: &BTreeMap<String, Vec<i32>>,
    ) -> Result<BTreeMap<(Arc<str>, i32), i64>, Error> {
        let deadline = self.client.deadline();
        loop {
            let error = match self.committed_once(partitions, deadline).await {
                Ok(offsets) => return Ok(offsets),
                Err(error) => error,
            };
            let again = error.is_retriable() && self.may_try_again(&error);
            if !again || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn committed_once(
        &mut self,
        partitions: &BTreeMap<String, Vec<i32>>,
        deadline: Instant,
    ) -> Result<BTreeMap<(Arc<str>, i32), i64>, Error> {
        let connection = self.coordinator(deadline).await?;
        let version = up_to::<OffsetFetchRequest>(&connection, FETCH_BY_NAME)?;
        let request = offset_fetch(&self.config.group, partitions, version);
        let response = connection.start_at(&request, version).await?.wait(deadline).await?;
        Error::check(response.error_code, None, self.about())?;
        let mut offsets = BTreeMap::new();
        let mut take = |topic: &str, index: i32, offset: i64, code: i16| {
            Error::check(code, None, format!("committed offset of {topic}-{index}"))?;
            if offset >= 0 {
                offsets.insert((Arc::from(topic), index), offset);
            }
            Ok::<(), Error>(())
        };
        for topic in &response.topics {
            for one in &topic.partitions {
                take(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
            }
        }
        for group in &response.groups {
            Error::check(group.error_code, None, self.about())?;
            for topic in &group.topics {
                for one in &topic.partitions {
                    take(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
                }
            }
        }
        Ok(offsets)
    }

    /// Leaves the group, so that it need not wait for the session to end.
    ///
    /// # Errors
    /// There is no coordinator in time.
    pub async fn leave(&mut self) -> Result<(), Error> {
        if self.id.is_empty() {
            return Ok(());
        }
        let deadline = deadline_in(Duration::from_secs(5).min(self.client.config().timeout));
        let connection = self.coordinator(deadline).await?;
        let version = connection.version::<LeaveGroupRequest>()?;
        let member = std::mem::take(&mut self.id);
        let mut request =
            LeaveGroupRequest { group_id: self.config.group.clone(), ..Default::default() };
        if version >= LEAVE_LIST {
            request.members = vec![MemberIdentity { member_id: member, ..Default::default() }];
        } else {
            request.member_id = member;
        }
        let response = connection.start_at(&request, version).await?.wait(deadline).await?;
        Error::check(response.error_code, None, self.about())
    }

    async fn coordinator(&mut self, deadline: Instant) -> Result<Arc<Connection>, Error> {
        if let Some(id) = self.coordinator
            && let Ok(connection) = self.client.broker(id, deadline).await
        {
            return Ok(connection);
        }
        let about = self.about();
        let group = self.config.group.clone();
        let client = self.client.clone();
        let id = client
            .retry(&about, deadline, async || {
                // The coordinator's address comes with the brokers.
                client.refresh(&[], false, deadline).await?;
                find_coordinator(&client, &group, &about, deadline).await
            })
            .await?;
        self.coordinator = Some(id);
        self.client.broker(id, deadline).await
    }
}

async fn find_coordinator(
    client: &Client,
    group: &str,
    about: &str,
    deadline: Instant,
) -> Result<i32, Error> {
    let connection = client.any(deadline).await?;
    let version = connection.version::<FindCoordinatorRequest>()?;
    let mut request = FindCoordinatorRequest::default();
    if version >= COORDINATORS_LIST {
        request.coordinator_keys = vec![group.to_owned()];
    } else {
        request.key = group.to_owned();
    }
    let pending = connection.start_at(&request, version).await?;
    let response = pending.wait(client.request_deadline(deadline)).await?;
    if version < COORDINATORS_LIST {
        Error::check(response.error_code, response.error_message.as_deref(), about)?;
        return Ok(response.node_id);
    }
    let found = response.coordinators.into_iter().next();
    let found = found.ok_or_else(|| Error::Missing { about: about.to_owned() })?;
    Error::check(found.error_code, found.error_message.as_deref(), about)?;
    Ok(found.node_id)
}

fn offset_fetch(
    group: &str,
    partitions: &BTreeMap<String, Vec<i32>>,
    version: i16,
) -> OffsetFetchRequest {
    if version >= GROUPS_LIST {
        let topics = partitions.iter().map(|(name, indexes)| OffsetFetchRequestTopics {
            name: name.clone(),
            partition_indexes: indexes.clone(),
            ..OffsetFetchRequestTopics::default()
        });
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(topics.collect()),
            ..OffsetFetchRequestGroup::default()
        };
        return OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    }
    let topics = partitions.iter().map(|(name, indexes)| OffsetFetchRequestTopic {
        name: name.clone(),
        partition_indexes: indexes.clone(),
    });
    OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: Some(topics.collect()),
        ..OffsetFetchRequest::default()
    }
}

fn up_to<M: Request>(connection: &Connection, most: i16) -> Result<i16, Error> {
    connection
        .versions()
        .highest_up_to::<M>(most)
        .ok_or_else(|| Error::Unsupported { address: connection.address().to_owned(), api: M::KEY })
}

fn malformed<M: Request>(connection: &Connection, source: wire::codec::DecodeError) -> Error {
    Error::Malformed { address: connection.address().to_owned(), api: M::KEY, source }
}

/// A message of the consumer protocol, its version before it.
fn versioned<M: Message<Range = wire::NoRange>>(message: &M) -> Result<Bytes, Error> {
    let body = wire::message::to_bytes(message, PROTOCOL_VERSION)?;
    Ok([&PROTOCOL_VERSION.to_be_bytes()[..], &body].concat().into())
}

fn read_versioned<M: Message>(mut bytes: Bytes) -> Result<M, wire::codec::DecodeError> {
    let version = wire::codec::Reader::new(bytes.clone()).i16()?;
    bytes.advance(2);
    // A later version only adds fields at the end, which a reader of an earlier one passes over.
    let version = version.clamp(*M::VERSIONS.start(), *M::VERSIONS.end());
    M::decode(&mut wire::codec::Reader::new(bytes), version)
}

fn read_subscription(bytes: Bytes) -> Result<Vec<String>, wire::codec::DecodeError> {
    Ok(read_versioned::<ConsumerProtocolSubscription>(bytes)?.topics)
}

fn read_assignment(bytes: Bytes) -> Result<BTreeMap<String, Vec<i32>>, wire::codec::DecodeError> {
    if bytes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let assignment = read_versioned::<ConsumerProtocolAssignment>(bytes)?;
    let partitions = assignment.assigned_partitions.into_iter();
    Ok(partitions.map(|topic| (topic.topic, topic.partitions)).collect())
}

type Shares = BTreeMap<String, BTreeMap<String, Vec<i32>>>;

/// Kafka's range strategy: of each topic, every member gets a run of partitions; the first
/// members, by id, get one more when it does not come out even.
fn range(wanted: &BTreeMap<String, Vec<String>>, counts: &BTreeMap<String, usize>) -> Shares {
    let mut shares = Shares::new();
    for (topic, members) in wanted {
        let mut members = members.clone();
        members.sort();
        let count = counts.get(topic).copied().unwrap_or_default();
        let (each, more) = (count / members.len().max(1), count % members.len().max(1));
        let mut partitions = (0i32..).take(count);
        for (position, member) in members.iter().enumerate() {
            let take = each + usize::from(position < more);
            let share: Vec<i32> = partitions.by_ref().take(take).collect();
            if !share.is_empty() {
                shares.entry(member.clone()).or_default().insert(topic.clone(), share);
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(members: &[&str], count: usize) -> Vec<(String, Vec<i32>)> {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        let wanted = BTreeMap::from([("t".to_owned(), members)]);
        let counts = BTreeMap::from([("t".to_owned(), count)]);
        range(&wanted, &counts)
            .into_iter()
            .map(|(member, mut topics)| (member, topics.remove("t").unwrap()))
            .collect()
    }

    #[test]
    fn range_gives_the_first_members_one_more() {
        let owned = |name: &str, share: &[i32]| (name.to_owned(), share.to_vec());
        let expected = [owned("a", &[0, 1, 2]), owned("b", &[3, 4]), owned("c", &[5, 6])];
        assert_eq!(shares(&["c", "a", "b"], 7), expected);
        assert_eq!(shares(&["a", "b"], 1), [owned("a", &[0])]);
        assert_eq!(shares(&["a"], 0), []);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["x".to_owned()],
            ..ConsumerProtocolSubscription::default()
        };
        let bytes = versioned(&subscription).unwrap();
        assert_eq!(&bytes[..2], [0, 0]);
        assert_eq!(read_subscription(bytes).unwrap(), ["x"]);
        assert_eq!(read_assignment(Bytes::new()).unwrap(), BTreeMap::new());
        assert!(read_assignment(Bytes::from_static(&[0])).is_err());
    }
}
