//! Groups from outside: what there is, who is in them, where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::ErrorCode;
use wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use wire::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup as DescribedConsumerGroup, Member,
};
use wire::messages::delete_groups_request::DeleteGroupsRequest;
use wire::messages::describe_groups_request::DescribeGroupsRequest;
use wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use wire::messages::list_groups_request::ListGroupsRequest;
use wire::messages::offset_commit_request::OffsetCommitRequest;
use wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use wire::messages::offset_fetch_request::OffsetFetchRequest;

use crate::client::Client;
use crate::error::Error;
use crate::group::{
    COMMIT_BY_NAME, CommittedOffset, FETCH_BY_NAME, check_commit, commit_topics, committed_offsets,
    offset_fetch, read_assignment, read_subscription, up_to,
};

/// The type of groups that DescribeGroups knows.
const CLASSIC: &str = "classic";
/// The type of groups that ConsumerGroupDescribe knows.
const CONSUMER: &str = "consumer";

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub id: String,
    /// `classic`, `consumer`, `share` or `streams`; empty from a broker that does not say.
    pub kind: String,
    /// What the members do with it; `consumer` for consumers.
    pub protocol_type: String,
    /// Its state; empty from a broker that does not say.
    pub state: String,
}

/// A group as `group describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub id: String,
    /// `classic`, `consumer`, or another type: of such a group the members are not told.
    pub kind: String,
    /// Its state.
    pub state: String,
    /// What the members do with it.
    pub protocol_type: String,
    /// How partitions are shared out.
    pub strategy: String,
    /// The broker that keeps it.
    pub coordinator: i32,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// The name that it keeps across restarts.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// The topics that it wants.
    pub topics: Vec<String>,
    /// The partitions that it has, by topic.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

fn about(group: &str) -> String {
    format!("group {group}")
}

fn check(group: &str, code: i16, message: Option<&str>) -> Result<(), Error> {
    if code == ErrorCode::GroupIdNotFound.code() {
        return Err(Error::NoGroup { group: group.to_owned() });
    }
    Error::check(code, message, about(group))
}

impl Client {
    /// All groups of all brokers.
    ///
    /// # Errors
    /// A broker does not answer in time.
    pub async fn list_groups(&self) -> Result<Vec<ListedGroup>, Error> {
        let deadline = self.deadline();
        self.retry("list groups", deadline, async || {
            let view = self.refresh(&[], false, deadline).await?;
            let mut groups = BTreeMap::new();
            for id in view.brokers.keys() {
                let connection = self.broker(*id, deadline).await?;
                let request = ListGroupsRequest::default();
                let response = connection.call(&request, self.request_deadline(deadline)).await?;
                Error::check(response.error_code, None, format!("groups of broker {id}"))?;
                for group in response.groups {
                    let listed = ListedGroup {
                        id: group.group_id.clone(),
                        kind: group.group_type,
                        protocol_type: group.protocol_type,
                        state: group.group_state,
                    };
                    groups.insert(group.group_id, listed);
                }
            }
            Ok(groups.into_values().collect())
        })
        .await
    }

    /// One group with its members; of a group of neither protocol for consumers, what the list of
    /// groups says.
    ///
    /// # Errors
    /// There is none of this name, or its coordinator does not answer in time.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let error = match self.describe_classic_group(group).await {
            Err(error @ Error::NoGroup { .. }) => error,
            described => return described,
        };
        match self.describe_consumer_group(group).await {
            Err(Error::NoGroup { .. } | Error::Unsupported { .. }) => {}
            described => return described,
        }
        let listed = self.list_groups().await?.into_iter().find(|listed| listed.id == group);
        let Some(listed) = listed.filter(|listed| !listed.kind.eq_ignore_ascii_case(CLASSIC))
        else {
            return Err(error);
        };
        Ok(GroupDescription {
            id: listed.id,
            kind: listed.kind,
            state: listed.state,
            protocol_type: listed.protocol_type,
            strategy: String::new(),
            coordinator: self.find_coordinator(group, self.deadline()).await?,
            members: Vec::new(),
        })
    }

    async fn describe_classic_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let deadline = self.deadline();
        let request = DescribeGroupsRequest {
            groups: vec![group.to_owned()],
            ..DescribeGroupsRequest::default()
        };
        self.at_coordinator(group, deadline, async |coordinator, connection| {
            let response = connection.call(&request, self.request_deadline(deadline)).await?;
            let found = response.groups.into_iter().next();
            let found = found.ok_or_else(|| Error::Missing { about: about(group) })?;
            check(group, found.error_code, found.error_message.as_deref())?;
            // How brokers before 4.0 say that there is none.
            if found.group_state == "Dead" {
                return Err(Error::NoGroup { group: group.to_owned() });
            }
            Ok(described(found, coordinator))
        })
        .await
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let deadline = self.deadline();
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group.to_owned()],
            ..ConsumerGroupDescribeRequest::default()
        };
        self.at_coordinator(group, deadline, async |coordinator, connection| {
            let response = connection.call(&request, self.request_deadline(deadline)).await?;
            let found = response.groups.into_iter().next();
            let found = found.ok_or_else(|| Error::Missing { about: about(group) })?;
            check(group, found.error_code, found.error_message.as_deref())?;
            Ok(described_of_consumers(found, coordinator))
        })
        .await
    }

    /// The committed offsets of a group: of the partitions named, or of all that have one.
    ///
    /// # Errors
    /// The coordinator refuses, or does not answer in time.
    pub async fn group_offsets(
        &self,
        group: &str,
        partitions: Option<&BTreeMap<String, Vec<i32>>>,
    ) -> Result<BTreeMap<(Arc<str>, i32), CommittedOffset>, Error> {
        let deadline = self.deadline();
        self.at_coordinator(group, deadline, async |_, connection| {
            let version = up_to::<OffsetFetchRequest>(connection, FETCH_BY_NAME)?;
            let request = offset_fetch(group, partitions, version);
            let pending = connection.start_at(&request, version).await?;
            let response = pending.wait(self.request_deadline(deadline)).await?;
            committed_offsets(&response, &about(group))
        })
        .await
    }

    /// Commits offsets for a group that has no members.
    ///
    /// # Errors
    /// The group has members, a partition is not there, or the coordinator does not answer in time.
    pub async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<(Arc<str>, i32), i64>,
    ) -> Result<(), Error> {
        let deadline = self.deadline();
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: -1,
            topics: commit_topics(offsets),
            ..OffsetCommitRequest::default()
        };
        self.at_coordinator(group, deadline, async |_, connection| {
            let version = up_to::<OffsetCommitRequest>(connection, COMMIT_BY_NAME)?;
            let pending = connection.start_at(&request, version).await?;
            check_commit(pending.wait(self.request_deadline(deadline)).await?)
        })
        .await
    }

    /// Deletes a group with its offsets.
    ///
    /// # Errors
    /// There is none of this name, it has members, or its coordinator does not answer in time.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
        self.at_coordinator(group, deadline, async |_, connection| {
            let response = connection.call(&request, self.request_deadline(deadline)).await?;
            let deleted = response.results.into_iter().next();
            let deleted = deleted.ok_or_else(|| Error::Missing { about: about(group) })?;
            check(group, deleted.error_code, deleted.error_message.as_deref())
        })
        .await
    }

    /// Deletes committed offsets of a group.
    ///
    /// # Errors
    /// There is no such group, it uses one of the topics, a partition is not there, or the
    /// coordinator does not answer in time.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &BTreeMap<String, Vec<i32>>,
    ) -> Result<(), Error> {
        let deadline = self.deadline();
        let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
        let topics = partitions.iter().map(|(name, indexes)| OffsetDeleteRequestTopic {
            name: name.clone(),
            partitions: indexes.iter().map(partition).collect(),
        });
        let request = OffsetDeleteRequest { group_id: group.to_owned(), topics: topics.collect() };
        self.at_coordinator(group, deadline, async |_, connection| {
            let response = connection.call(&request, self.request_deadline(deadline)).await?;
            check(group, response.error_code, None)?;
            for topic in response.topics {
                for one in topic.partitions {
                    let about = format!("offset of {}-{}", topic.name, one.partition_index);
                    Error::check(one.error_code, None, about)?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn described(group: DescribedGroup, coordinator: i32) -> GroupDescription {
    GroupDescription {
        id: group.group_id,
        kind: CLASSIC.to_owned(),
        state: group.group_state,
        protocol_type: group.protocol_type,
        strategy: group.protocol_data,
        coordinator,
        members: group.members.into_iter().map(member).collect(),
    }
}

/// Members of other protocol types have no topics and partitions that could be read.
fn member(member: DescribedGroupMember) -> GroupMember {
    GroupMember {
        id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host.trim_start_matches('/').to_owned(),
        topics: read_subscription(member.member_metadata).unwrap_or_default(),
        partitions: read_assignment(member.member_assignment).unwrap_or_default(),
    }
}

fn described_of_consumers(group: DescribedConsumerGroup, coordinator: i32) -> GroupDescription {
    GroupDescription {
        id: group.group_id,
        kind: CONSUMER.to_owned(),
        state: group.group_state,
        protocol_type: CONSUMER.to_owned(),
        strategy: group.assignor_name,
        coordinator,
        members: group.members.into_iter().map(member_of_consumers).collect(),
    }
}

fn member_of_consumers(member: Member) -> GroupMember {
    let mut topics = member.subscribed_topic_names;
    topics.extend(member.subscribed_topic_regex.filter(|regex| !regex.is_empty()));
    let Assignment { topic_partitions } = member.assignment;
    let partitions = topic_partitions.into_iter().map(|one| (one.topic_name, one.partitions));
    GroupMember {
        id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.client_host.trim_start_matches('/').to_owned(),
        topics,
        partitions: partitions.collect(),
    }
}
