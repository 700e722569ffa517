//! The crate `kafka-protocol`, written by other people, reads what we write and writes it again:
//! the same bytes, wherever both know a version.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::support::{Random, cases, seed};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

/// Where the crate errs; Kafka's own classes agree with us there.
const NOT_THEIRS: [(&str, i16); 3] =
    [("LeaderChangeMessage", 0), ("LeaderChangeMessage", 1), ("VotersRecord", 0)];

struct Oracle {
    versions: RangeInclusive<i16>,
    recode: fn(Bytes, i16) -> Result<Bytes, String>,
}

fn oracle<M: Message + Decodable + Encodable>() -> Oracle {
    Oracle {
        versions: M::VERSIONS.min..=M::VERSIONS.max,
        recode: |mut bytes, version| {
            let message = M::decode(&mut bytes, version).map_err(|error| error.to_string())?;
            assert!(bytes.is_empty());
            let mut out = BytesMut::new();
            message.encode(&mut out, version).map_err(|error| error.to_string())?;
            Ok(out.freeze())
        },
    }
}

macro_rules! oracles {
    ($($api:ident)*) => {
        BTreeMap::from([$((stringify!($api), oracle::<theirs::$api>())),*])
    };
}

fn oracles() -> BTreeMap<&'static str, Oracle> {
    oracles! {
        ProduceRequest ProduceResponse FetchRequest FetchResponse
        ListOffsetsRequest ListOffsetsResponse MetadataRequest MetadataResponse
        OffsetCommitRequest OffsetCommitResponse OffsetFetchRequest OffsetFetchResponse
        FindCoordinatorRequest FindCoordinatorResponse JoinGroupRequest JoinGroupResponse
        HeartbeatRequest HeartbeatResponse LeaveGroupRequest LeaveGroupResponse
        SyncGroupRequest SyncGroupResponse DescribeGroupsRequest DescribeGroupsResponse
        ListGroupsRequest ListGroupsResponse ApiVersionsRequest ApiVersionsResponse
        CreateTopicsRequest CreateTopicsResponse DeleteTopicsRequest DeleteTopicsResponse
        DeleteRecordsRequest DeleteRecordsResponse InitProducerIdRequest InitProducerIdResponse
        OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
        DescribeConfigsRequest DescribeConfigsResponse
        CreatePartitionsRequest CreatePartitionsResponse DeleteGroupsRequest DeleteGroupsResponse
        IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
        DescribeQuorumRequest DescribeQuorumResponse
        DescribeClusterRequest DescribeClusterResponse
        DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
        ConsumerProtocolSubscription ConsumerProtocolAssignment
        LeaderChangeMessage SnapshotHeaderRecord SnapshotFooterRecord EndTxnMarker
        KRaftVersionRecord VotersRecord
    }
}

#[test]
fn kafka_protocol_writes_again_what_we_wrote() {
    let mut random = Random::new(seed());
    let oracles = oracles();
    let mut compared = 0;
    let mut wrong = BTreeSet::new();
    for case in cases() {
        let Some(oracle) = oracles.get(case.name) else { continue };
        for (version, bytes) in case.samples(&mut random, 15) {
            if oracle.versions.contains(&version) {
                if (oracle.recode)(bytes.clone(), version) != Ok(bytes) {
                    wrong.insert((case.name, version));
                }
                compared += 1;
            }
        }
    }
    assert_eq!(wrong, BTreeSet::from(NOT_THEIRS));
    assert!(compared > 3000, "only {compared} compared");
}
