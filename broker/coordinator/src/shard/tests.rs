//! Scenarios of whole groups, driven as a node drives a shard: append, replay, release.

mod agreement;
mod keeping;
mod members;
mod model;
mod properties;
mod scenarios;

use std::collections::BTreeMap;

use bytes::Bytes;
use metadata::MetadataRecord;
use wire::ids::Uuid;
use wire::messages::heartbeat_request::HeartbeatRequest;
use wire::messages::heartbeat_response::HeartbeatResponse;
use wire::messages::join_group_request::JoinGroupRequestProtocol;
use wire::messages::join_group_response::JoinGroupResponse;
use wire::messages::leave_group_request::MemberIdentity;
use wire::messages::leave_group_response::LeaveGroupResponse;
use wire::messages::metadata_records::{PartitionRecord, TopicRecord};
use wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use wire::messages::sync_group_response::SyncGroupResponse;

use super::*;

const TOPIC_ID: Uuid = Uuid([5; 16]);
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 30_000;

/// A cluster with the topic `t` of two partitions.
fn image() -> Image {
    let topic = TopicRecord { name: "t".to_owned(), topic_id: TOPIC_ID };
    let partition = |partition_id| {
        let topic_id = TOPIC_ID;
        MetadataRecord::Partition(PartitionRecord { partition_id, topic_id, ..Default::default() })
    };
    let records = [MetadataRecord::Topic(topic), partition(0), partition(1)];
    Image::default().apply(&records).unwrap().0
}

/// A shard with its log, and a node's handling of it.
struct Harness {
    shard: Shard,
    image: Image,
    config: Config,
    log: Vec<Record>,
    now: i64,
    next_token: Token,
    replies: BTreeMap<Token, Response>,
    /// Refuse the next append with this.
    refuse: Option<ErrorCode>,
}

impl Harness {
    fn new() -> Self {
        let config = Config { initial_rebalance_delay_ms: 3_000, ..Config::default() };
        Self::with(config, Vec::new(), 1_000)
    }

    fn with(config: Config, log: Vec<Record>, now: i64) -> Self {
        let mut shard = Shard::new(config.clone());
        for record in &log {
            shard.replay(record).unwrap();
        }
        shard.finish_loading(now);
        Self {
            shard,
            image: image(),
            config,
            log,
            now,
            next_token: 0,
            replies: BTreeMap::new(),
            refuse: None,
        }
    }

    /// What another node would make of the log.
    fn reload(&self) -> Self {
        Self::with(self.config.clone(), self.log.clone(), self.now)
    }

    fn take(&mut self, decision: Decision) {
        let replies = match self.refuse.take_if(|_| !decision.records.is_empty()) {
            Some(code) => decision.refused(code),
            None => {
                for record in &decision.records {
                    self.shard.replay(record).unwrap();
                    self.log.push(record.clone());
                }
                decision.replies
            }
        };
        for reply in replies {
            let earlier = self.replies.insert(reply.token, reply.response);
            assert!(earlier.is_none(), "token {} answered twice", reply.token);
        }
    }

    fn send(&mut self, version: i16, request: Request) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        let ctx = Context {
            now_ms: self.now,
            version,
            client_id: "c",
            client_host: "/127.0.0.1",
            image: &self.image,
            random: u128::from(token) << 70 | u128::from(token),
        };
        let decision = self.shard.handle(&ctx, token, &request);
        self.take(decision);
        // As a node does: what is due at once does not wait for the timer.
        if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
            let due = self.shard.tick(self.now);
            self.take(due);
        }
        token
    }

    fn wait(&mut self, ms: i64) {
        self.now += ms;
        let decision = self.shard.tick(self.now);
        self.take(decision);
        assert!(self.shard.next_deadline().is_none_or(|at| at > self.now));
    }

    fn waits(&self, token: Token) -> bool {
        !self.replies.contains_key(&token)
    }

    fn answer(&mut self, token: Token) -> Response {
        self.replies.remove(&token).unwrap_or_else(|| panic!("token {token} still waits"))
    }

    fn join_request(&self, member: &str) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: "g".to_owned(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: member.to_owned(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![protocol("range"), protocol("roundrobin")],
            ..Default::default()
        }
    }

    fn join(&mut self, member: &str) -> Token {
        let request = self.join_request(member);
        self.send(9, Request::Join(request))
    }

    fn joined(&mut self, token: Token) -> JoinGroupResponse {
        match self.answer(token) {
            Response::Join(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// A newcomer's two joins: the id, then the wait.
    fn enter(&mut self) -> (String, Token) {
        let token = self.join("");
        let first = self.joined(token);
        assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
        assert!(first.member_id.starts_with("c-") && first.member_id.len() == 38);
        let token = self.join(&first.member_id);
        (first.member_id, token)
    }

    fn sync(
        &mut self,
        member: &str,
        generation: i32,
        assignments: &[(&str, &'static str)],
    ) -> Token {
        let assignment = |(member, bytes): &(&str, &'static str)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: Bytes::from_static(bytes.as_bytes()),
        };
        let request = SyncGroupRequest {
            group_id: "g".to_owned(),
            generation_id: generation,
            member_id: member.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignments.iter().map(assignment).collect(),
            ..Default::default()
        };
        self.send(5, Request::Sync(request))
    }

    fn synced(&mut self, token: Token) -> SyncGroupResponse {
        match self.answer(token) {
            Response::Sync(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".to_owned(),
            generation_id: generation,
            member_id: member.to_owned(),
            ..Default::default()
        };
        let token = self.send(4, Request::Heartbeat(request));
        match self.answer(token) {
            Response::Heartbeat(HeartbeatResponse { error_code, .. }) => code(error_code),
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member: &str) -> LeaveGroupResponse {
        let members = vec![MemberIdentity { member_id: member.to_owned(), ..Default::default() }];
        let request = LeaveGroupRequest { group_id: "g".to_owned(), members, ..Default::default() };
        let token = self.send(5, Request::Leave(request));
        match self.answer(token) {
            Response::Leave(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, member: &str, generation: i32, partition: i32, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: offset,
            committed_metadata: Some("m".to_owned()),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: "g".to_owned(),
            generation_id_or_member_epoch: generation,
            member_id: member.to_owned(),
            topics: vec![topic],
            ..Default::default()
        };
        let token = self.send(9, Request::OffsetCommit(request));
        match self.answer(token) {
            Response::OffsetCommit(r) => code(r.topics[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, version: i16, topics: Option<&[i32]>) -> OffsetFetchResponseGroup {
        let wanted = |partitions: &[i32]| {
            vec![OffsetFetchRequestTopics {
                name: "t".to_owned(),
                topic_id: TOPIC_ID,
                partition_indexes: partitions.to_vec(),
            }]
        };
        let request = OffsetFetchRequestGroup {
            group_id: "g".to_owned(),
            topics: topics.map(wanted),
            ..Default::default()
        };
        let token = self.send(version, Request::OffsetFetch(request));
        match self.answer(token) {
            Response::OffsetFetch(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn offset(&mut self, partition: i32) -> i64 {
        self.fetch(9, Some(&[partition])).topics[0].partitions[0].committed_offset
    }

    /// A join of any version, with a static id.
    fn join_static(&mut self, version: i16, member: &str, instance: &str) -> Token {
        let mut request = self.join_request(member);
        request.group_instance_id = Some(instance.to_owned());
        self.send(version, Request::Join(request))
    }

    fn leave_several(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let one = |(member, instance): &(&str, Option<&str>)| MemberIdentity {
            member_id: (*member).to_owned(),
            group_instance_id: instance.map(str::to_owned),
            ..Default::default()
        };
        let members = members.iter().map(one).collect();
        let request = LeaveGroupRequest { group_id: "g".to_owned(), members, ..Default::default() };
        let token = self.send(5, Request::Leave(request));
        match self.answer(token) {
            Response::Leave(r) => r.members.iter().map(|m| code(m.error_code)).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// A stable group of two static members, `a` which leads and `b`; gives their ids.
    fn stable_statics(&mut self) -> (String, String) {
        let (a, b) = (self.join_static(9, "", "a"), self.join_static(9, "", "b"));
        self.wait(3_000);
        self.wait(3_000);
        let joined = [self.joined(a), self.joined(b)];
        let leader = joined[0].leader.clone();
        let [a, b] = joined.map(|joined| joined.member_id);
        let follower = if leader == a { &b } else { &a };
        let waits = self.sync(follower, 1, &[]);
        let leads = self.sync(&leader, 1, &[(&a, "for a"), (&b, "for b")]);
        assert_eq!(self.synced(waits).error_code, 0);
        assert_eq!(self.synced(leads).error_code, 0);
        (a, b)
    }

    /// A stable group of one member; gives its id.
    fn stable(&mut self) -> String {
        let (id, token) = self.enter();
        self.wait(3_000);
        let joined = self.joined(token);
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
        let token = self.sync(&id, 1, &[(&id, "both")]);
        assert_eq!(self.synced(token).assignment, "both");
        id
    }
}

fn protocol(name: &str) -> JoinGroupRequestProtocol {
    let metadata = Bytes::from(format!("{name} subscription"));
    JoinGroupRequestProtocol { name: name.to_owned(), metadata }
}

fn code(number: i16) -> ErrorCode {
    ErrorCode::from_i16(number).unwrap()
}
