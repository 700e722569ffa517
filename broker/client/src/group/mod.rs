//! A member of a classic consumer group: joins, is given partitions, keeps its place, commits.

mod calls;
mod protocol;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::ErrorCode;
use wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire::messages::join_group_response::JoinGroupResponse;
use wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_fetch_request::OffsetFetchRequest;
use wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::client::Client;
use crate::connection::{Connection, deadline_in};
use crate::error::Error;
pub use calls::CommittedOffset;
use calls::malformed;
pub(crate) use calls::{check_commit, commit_topics, committed_offsets, offset_fetch, up_to};
use protocol::{range, versioned};
pub(crate) use protocol::{read_assignment, read_subscription};

/// The strategy by which partitions are shared out.
const STRATEGY: &str = "range";
/// From these versions on, topics are named by id; names are enough here.
pub(crate) const COMMIT_BY_NAME: i16 = 9;
pub(crate) const FETCH_BY_NAME: i16 = 9;
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

/// Whether the group itself says that this member has to join anew.
fn is_of_generation(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::RebalanceInProgress
        )
    )
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
    /// A member that has not joined yet, with connections of its own.
    #[must_use]
    pub fn new(client: &Client, config: MemberConfig) -> Self {
        let (client, id) = (client.apart(), String::new());
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

    /// Joins, or joins again, and gives the partitions. The other members may take the rebalance
    /// time-out to come; a coordinator has to be there within the client's.
    ///
    /// # Errors
    /// The group refuses, or there is no coordinator in time.
    pub async fn join(&mut self) -> Result<Joined, Error> {
        let deadline = self.client.deadline() + self.config.rebalance_timeout;
        let mut reached_by = self.client.deadline();
        loop {
            let error = match self.join_once(reached_by, deadline).await {
                Ok(joined) => return Ok(joined),
                Err(error) => error,
            };
            if !self.may_try_again(&error) {
                return Err(error);
            }
            if is_of_generation(&error) {
                // That was a coordinator.
                reached_by = self.client.deadline();
            }
            if Instant::now() >= deadline.min(reached_by) {
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

    async fn join_once(&mut self, reached_by: Instant, deadline: Instant) -> Result<Joined, Error> {
        let connection = self.coordinator(reached_by).await?;
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
            Err(error) if self.may_try_again(&error) => Ok(!is_of_generation(&error)),
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
        let request = OffsetCommitRequest {
            group_id: self.config.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: commit_topics(offsets),
            ..OffsetCommitRequest::default()
        };
        let deadline = self.client.deadline();
        loop {
            match self.commit_once(&request, deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause_or_fail(error, deadline).await?,
            }
        }
    }

    /// Waits a little before another try, when the failure is worth one and time is left.
    async fn pause_or_fail(&mut self, error: Error, deadline: Instant) -> Result<(), Error> {
        if !(error.is_retriable() && self.may_try_again(&error)) || Instant::now() >= deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn commit_once(
        &mut self,
        request: &OffsetCommitRequest,
        deadline: Instant,
    ) -> Result<(), Error> {
        let connection = self.coordinator(deadline).await?;
        let version = up_to::<OffsetCommitRequest>(&connection, COMMIT_BY_NAME)?;
        let response = connection.start_at(request, version).await?.wait(deadline).await?;
        check_commit(response)
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
            match self.committed_once(partitions, deadline).await {
                Ok(offsets) => return Ok(offsets),
                Err(error) => self.pause_or_fail(error, deadline).await?,
            }
        }
    }

    async fn committed_once(
        &mut self,
        partitions: &BTreeMap<String, Vec<i32>>,
        deadline: Instant,
    ) -> Result<BTreeMap<(Arc<str>, i32), i64>, Error> {
        let connection = self.coordinator(deadline).await?;
        let version = up_to::<OffsetFetchRequest>(&connection, FETCH_BY_NAME)?;
        let request = offset_fetch(&self.config.group, Some(partitions), version);
        let response = connection.start_at(&request, version).await?.wait(deadline).await?;
        let committed = committed_offsets(&response, &self.about())?;
        Ok(committed.into_iter().map(|(place, one)| (place, one.offset)).collect())
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
            .retry(&about, deadline, async || client.find_coordinator(&group, deadline).await)
            .await?;
        self.coordinator = Some(id);
        self.client.broker(id, deadline).await
    }
}
