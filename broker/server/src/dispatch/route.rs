//! Which handler answers which API.

use std::sync::Arc;

use wire::ApiKey;
use wire::codec::Reader;
use wire::frame::RequestHeader;

use super::{bad, serve};
use crate::broker::Broker;
use crate::connection::{Outcome, Peer};
use crate::handlers as to;

/// Hands a request that is served to its handler.
pub(super) fn route(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: RequestHeader,
    body: Reader,
) -> Outcome {
    let (b, p, h) = (broker, peer, header);
    match h.key {
        ApiKey::Produce => serve(b, p, h, body, to::produce::handle),
        ApiKey::Fetch => serve(b, p, h, body, to::fetch::handle),
        ApiKey::ListOffsets => serve(b, p, h, body, to::list_offsets::handle),
        ApiKey::Metadata => serve(b, p, h, body, to::metadata::handle),
        ApiKey::OffsetCommit => serve(b, p, h, body, to::groups::offset_commit::handle),
        ApiKey::OffsetFetch => serve(b, p, h, body, to::groups::offset_fetch::handle),
        ApiKey::FindCoordinator => serve(b, p, h, body, to::find_coordinator::handle),
        ApiKey::JoinGroup => serve(b, p, h, body, to::groups::join_group::handle),
        ApiKey::Heartbeat => serve(b, p, h, body, to::groups::heartbeat::handle),
        ApiKey::LeaveGroup => serve(b, p, h, body, to::groups::leave_group::handle),
        ApiKey::SyncGroup => serve(b, p, h, body, to::groups::sync_group::handle),
        ApiKey::DescribeGroups => serve(b, p, h, body, to::groups::describe_groups::handle),
        ApiKey::ListGroups => serve(b, p, h, body, to::groups::list_groups::handle),
        ApiKey::ApiVersions => serve(b, p, h, body, to::api_versions::handle),
        ApiKey::CreateTopics => serve(b, p, h, body, to::control::create_topics),
        ApiKey::DeleteTopics => serve(b, p, h, body, to::control::delete_topics),
        ApiKey::DeleteRecords => serve(b, p, h, body, to::delete_records::handle),
        ApiKey::InitProducerId => serve(b, p, h, body, to::init_producer_id::handle),
        ApiKey::OffsetForLeaderEpoch => serve(b, p, h, body, to::offset_for_leader_epoch::handle),
        ApiKey::DeleteGroups => serve(b, p, h, body, to::groups::delete_groups::handle),
        ApiKey::OffsetDelete => serve(b, p, h, body, to::groups::offset_delete::handle),
        ApiKey::DescribeConfigs => serve(b, p, h, body, to::describe_configs::handle),
        ApiKey::AlterConfigs => serve(b, p, h, body, to::alter_configs::handle),
        ApiKey::CreatePartitions => serve(b, p, h, body, to::control::create_partitions),
        ApiKey::IncrementalAlterConfigs => {
            serve(b, p, h, body, to::incremental_alter_configs::handle)
        }
        ApiKey::ListConfigResources => serve(b, p, h, body, to::list_config_resources::handle),
        ApiKey::DescribeLogDirs => serve(b, p, h, body, to::describe_log_dirs::handle),
        ApiKey::DescribeProducers => serve(b, p, h, body, to::describe_producers::handle),
        ApiKey::DescribeQuorum => serve(b, p, h, body, to::control::describe_quorum),
        ApiKey::UpdateFeatures => serve(b, p, h, body, to::control::update_features),
        ApiKey::UnregisterBroker => serve(b, p, h, body, to::control::unregister_broker),
        ApiKey::AddRaftVoter => serve(b, p, h, body, to::control::add_raft_voter),
        ApiKey::RemoveRaftVoter => serve(b, p, h, body, to::control::remove_raft_voter),
        ApiKey::DescribeCluster => serve(b, p, h, body, to::describe_cluster::handle),
        ApiKey::DescribeTopicPartitions => {
            serve(b, p, h, body, to::describe_topic_partitions::handle)
        }
        key => Outcome::Close(bad(format_args!("{key} is not served"))),
    }
}
