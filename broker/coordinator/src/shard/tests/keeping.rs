//! How offsets and groups are kept, and how they go.

use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::*;

const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

impl Harness {
    fn expire(&mut self) -> usize {
        let decision = self.shard.expire(self.now);
        let count = decision.records.len();
        self.take(decision);
        count
    }

    /// The group's error, then each partition's.
    fn delete_offsets(&mut self, group: &str, topic: &str, partitions: &[i32]) -> Vec<ErrorCode> {
        let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
        let request = OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: vec![OffsetDeleteRequestTopic {
                name: topic.to_owned(),
                partitions: partitions.iter().map(partition).collect(),
            }],
        };
        let token = self.send(0, Request::OffsetDelete(request));
        let Response::OffsetDelete(answer) = self.answer(token) else { panic!() };
        let partitions = answer.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code);
        std::iter::once(answer.error_code).chain(partitions).map(code).collect()
    }

    /// A stable group of one member that says what it reads; gives its id.
    fn subscribed(&mut self, topics: &[&str]) -> String {
        let subscription = ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            ..Default::default()
        };
        let mut metadata = vec![0, 3];
        metadata.extend(wire::message::to_bytes(&subscription, 3).unwrap());
        let mut request = self.join_request("");
        request.protocols.truncate(1);
        request.protocols[0].metadata = Bytes::from(metadata);
        let token = self.send(3, Request::Join(request));
        self.wait(3_000);
        let id = self.joined(token).member_id;
        let token = self.sync(&id, 1, &[(&id, "all")]);
        assert_eq!(self.synced(token).error_code, 0);
        id
    }

    fn live(&mut self, id: &str, ms: i64) {
        let until = self.now + ms;
        while self.now < until {
            self.wait((until - self.now).min(9_000));
            assert_eq!(self.heartbeat(id, 1), ErrorCode::None);
        }
    }
}

#[test]
fn offsets_of_a_group_without_members_go_after_the_retention() {
    let mut h = Harness::new();
    let id = h.stable();
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::None);
    h.wait(5_000);
    h.leave(&id);
    // It counts from when the group became empty, not from the commit.
    h.wait(RETENTION_MS - 1);
    assert_eq!(h.expire(), 0);
    assert_eq!(h.offset(0), 5);
    h.wait(1);
    assert_eq!(h.reload().expire(), 2, "a reloaded shard counts from the same time");
    assert_eq!(h.expire(), 2, "the offset and the group");
    assert_eq!(h.offset(0), -1);
    assert!(h.shard.list(&[], &[]).is_empty());
    assert!(h.reload().shard.list(&[], &[]).is_empty(), "tombstones are written");
    assert_eq!(h.expire(), 0);
}

#[test]
fn a_group_with_members_keeps_what_it_may_read() {
    let mut h = Harness::new();
    let config = Config { offsets_retention_ms: 20_000, ..h.config.clone() };
    h = Harness::with(config, Vec::new(), 0);
    // Who does not say what it reads may read anything.
    let id = h.stable();
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::None);
    h.live(&id, 30_000);
    assert_eq!(h.expire(), 0);
    assert_eq!(h.delete_offsets("g", "t", &[0])[1], ErrorCode::GroupSubscribedToTopic);
    h.leave(&id);
    assert_eq!(h.delete_offsets("g", "t", &[0]), [ErrorCode::None; 2]);
    assert_eq!(h.offset(0), -1);
    assert_eq!(h.expire(), 1, "a group without members and offsets goes at once");
}

#[test]
fn a_stable_group_keeps_only_what_it_reads() {
    let mut h =
        Harness::with(Config { offsets_retention_ms: 20_000, ..Config::default() }, Vec::new(), 0);
    let id = h.subscribed(&["t"]);
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::None);
    assert_eq!(h.delete_offsets("g", "t", &[0])[1], ErrorCode::GroupSubscribedToTopic);
    h.live(&id, 30_000);
    assert_eq!(h.expire(), 0);
    h.leave(&id);
    let id = {
        h.wait(10_000);
        let subscribed = Harness::with(h.config.clone(), Vec::new(), h.now);
        h = subscribed;
        h.subscribed(&["another"])
    };
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::None);
    assert_eq!(h.commit(&id, 1, 1, 6), ErrorCode::None);
    assert_eq!(h.delete_offsets("g", "t", &[1]), [ErrorCode::None; 2]);
    h.live(&id, 19_999);
    assert_eq!(h.expire(), 0);
    h.live(&id, 1);
    assert_eq!(h.expire(), 1, "long committed and not read any more");
    assert_eq!(h.shard.describe("g", 6).group_state, "Stable", "the group itself stays");
    // The reloaded group knows what it reads.
    assert_eq!(h.commit(&id, 1, 1, 6), ErrorCode::None);
    assert_eq!(h.reload().delete_offsets("g", "t", &[1]), [ErrorCode::None; 2]);
}

#[test]
fn offsets_without_members_go_after_their_own_retention() {
    let mut h = Harness::new();
    assert_eq!(h.commit("", -1, 0, 5), ErrorCode::None);
    h.wait(1_000);
    assert_eq!(h.commit("", -1, 1, 6), ErrorCode::None);
    h.wait(RETENTION_MS - 1_000);
    assert_eq!(h.expire(), 1);
    assert_eq!((h.offset(0), h.offset(1)), (-1, 6));
    h.wait(1_000);
    assert_eq!(h.expire(), 1);
    assert!(h.shard.list(&[], &[]).is_empty());
}

#[test]
fn the_oldest_clients_say_how_long() {
    let mut h = Harness::new();
    let request = |retention_time_ms| OffsetCommitRequest {
        group_id: "g".to_owned(),
        retention_time_ms,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 7,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    h.send(4, Request::OffsetCommit(request(500)));
    assert_eq!(h.log[0].value.as_ref().unwrap()[..2], [0, 1], "only version 1 can say so");
    h = h.reload();
    h.wait(499);
    assert_eq!(h.expire(), 0);
    h.wait(1);
    assert_eq!(h.expire(), 1);
}

#[test]
fn offsets_are_deleted_only_where_nobody_reads() {
    let mut h = Harness::new();
    assert_eq!(h.delete_offsets("", "t", &[0]), [ErrorCode::InvalidGroupId]);
    assert_eq!(h.delete_offsets("g", "t", &[0]), [ErrorCode::GroupIdNotFound]);
    assert_eq!(h.commit("", -1, 0, 5), ErrorCode::None);
    let codes = h.delete_offsets("g", "t", &[0, 1, 9]);
    let expected =
        [ErrorCode::None, ErrorCode::None, ErrorCode::None, ErrorCode::UnknownTopicOrPartition];
    assert_eq!(codes, expected);
    assert_eq!(h.offset(0), -1);
    assert_eq!(h.log.len(), 2, "only what was there gets a tombstone");
    // A group of another kind cannot say what it reads.
    let mut request = h.join_request("");
    request.protocol_type = "connect".to_owned();
    h.send(3, Request::Join(request));
    assert_eq!(h.delete_offsets("g", "t", &[0]), [ErrorCode::NonEmptyGroup]);
}

#[test]
fn a_commit_is_judged_partition_by_partition() {
    let mut h = Harness::new();
    let id = h.stable();
    let commit = |h: &mut Harness, generation: i32, metadata: &str| {
        let partition = |partition_index: i32| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 1,
            committed_metadata: Some(metadata.to_owned()),
            ..Default::default()
        };
        let topic = |name: &str, partitions: &[i32]| OffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions: partitions.iter().copied().map(partition).collect(),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: "g".to_owned(),
            generation_id_or_member_epoch: generation,
            member_id: id.clone(),
            topics: vec![topic("t", &[0, 2]), topic("gone", &[0])],
            ..Default::default()
        };
        let token = h.send(9, Request::OffsetCommit(request));
        let Response::OffsetCommit(answer) = h.answer(token) else { panic!() };
        let all = answer.topics.iter().flat_map(|topic| &topic.partitions);
        all.map(|p| code(p.error_code)).collect::<Vec<_>>()
    };
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(commit(&mut h, 1, "m"), [ErrorCode::None, unknown, unknown]);
    // A stale generation does not hide that a partition is not there.
    assert_eq!(commit(&mut h, 7, "m"), [ErrorCode::IllegalGeneration, unknown, unknown]);
    // 4096 characters may be more bytes than that.
    assert_eq!(commit(&mut h, 1, &"\u{e4}".repeat(4_096))[0], ErrorCode::None);
    let too_large = ErrorCode::OffsetMetadataTooLarge;
    assert_eq!(commit(&mut h, 1, &"x".repeat(4_097))[0], too_large);
    assert_eq!(commit(&mut h, 1, &"\u{1F600}".repeat(2_049))[0], too_large);
}

#[test]
fn a_commit_that_others_would_wait_for_is_refused_whole() {
    let mut h = Harness::new();
    let id = h.stable();
    let mut commit = |count: usize, metadata_bytes: usize| {
        let partition = OffsetCommitRequestPartition {
            committed_offset: 7,
            committed_metadata: Some("x".repeat(metadata_bytes)),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition; count],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: "g".to_owned(),
            generation_id_or_member_epoch: 1,
            member_id: id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        let before = h.shard.counts().offsets;
        let token = h.send(9, Request::OffsetCommit(request));
        let Response::OffsetCommit(answer) = h.answer(token) else { panic!() };
        let codes: Vec<_> =
            answer.topics[0].partitions.iter().map(|p| code(p.error_code)).collect();
        assert_eq!(codes.len(), count);
        assert!(codes.iter().all(|code| *code == codes[0]));
        assert_eq!(h.shard.counts().offsets > before, codes[0] == ErrorCode::None);
        codes[0]
    };
    assert_eq!(commit(25_001, 0), ErrorCode::InvalidCommitOffsetSize);
    assert_eq!(commit(1_100, 4_000), ErrorCode::InvalidCommitOffsetSize);
    assert_eq!(commit(1_000, 4_000), ErrorCode::None);
}

#[test]
fn questions_that_others_would_wait_for_are_refused_whole() {
    let mut h = Harness::new();
    let id = h.stable();
    let partition = OffsetCommitRequestPartition {
        committed_offset: 7,
        committed_metadata: Some("x".repeat(4_096)),
        ..Default::default()
    };
    let name = "t".to_owned();
    let topic =
        OffsetCommitRequestTopic { name, partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: 1,
        member_id: id,
        topics: vec![topic],
        ..Default::default()
    };
    let token = h.send(9, Request::OffsetCommit(request));
    h.answer(token);
    for version in [9, 10] {
        // What is not there has no metadata; partition 0 has 4 KiB each time it is named.
        for (partition, count, fine) in
            [(1, 100_000, true), (1, 100_001, false), (0, 16_384, true), (0, 16_385, false)]
        {
            let found = h.fetch(version, Some(&vec![partition; count]));
            let expected = if fine { ErrorCode::None } else { ErrorCode::InvalidRequest };
            assert_eq!(code(found.error_code), expected, "{count} times {partition}");
            assert_eq!(found.topics.len(), usize::from(fine));
        }
    }
    assert_eq!(h.fetch(9, None).topics[0].partitions.len(), 1, "all is what there is");
    let mut delete = |count: usize| {
        let partition = OffsetDeleteRequestPartition { partition_index: 1 };
        let topic =
            OffsetDeleteRequestTopic { name: "t".to_owned(), partitions: vec![partition; count] };
        let request = OffsetDeleteRequest { group_id: "g".to_owned(), topics: vec![topic] };
        let token = h.send(0, Request::OffsetDelete(request));
        let Response::OffsetDelete(answer) = h.answer(token) else { panic!() };
        (code(answer.error_code), answer.topics.len())
    };
    assert_eq!(delete(25_000), (ErrorCode::None, 1));
    assert_eq!(delete(25_001), (ErrorCode::InvalidRequest, 0));
}

#[test]
fn a_hundred_kilobytes_of_metadata_are_kept_like_any_other() {
    let mut h = Harness::new();
    let mut request = h.join_request("");
    request.protocols[0].metadata = Bytes::from(vec![7; 100 << 10]);
    let token = h.send(3, Request::Join(request));
    h.wait(3_000);
    let joined = h.joined(token);
    assert_eq!(joined.members[0].metadata.len(), 100 << 10);
    let token = h.sync(&joined.member_id, 1, &[(&joined.member_id, "x")]);
    assert_eq!(h.synced(token).error_code, 0);
    let described = h.reload().shard.describe("g", 6);
    assert_eq!(described.members[0].member_metadata.len(), 100 << 10);
}
