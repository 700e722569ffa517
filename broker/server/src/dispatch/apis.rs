//! The APIs that work, and at which versions. ApiVersions advertises from here, dispatch refuses by
//! it.

use std::ops::RangeInclusive;

use wire::ApiKey;

/// Every API with a handler, in the order of its key.
pub(crate) const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::DescribeLogDirs,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::OffsetDelete,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::UnregisterBroker,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
];

/// Every API of the controller's listeners, in the order of its key.
pub(crate) const SERVED_BY_CONTROLLER: &[ApiKey] = &[
    ApiKey::Fetch,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::Vote,
    ApiKey::BeginQuorumEpoch,
    ApiKey::EndQuorumEpoch,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::Envelope,
    ApiKey::FetchSnapshot,
    ApiKey::DescribeCluster,
    ApiKey::BrokerRegistration,
    ApiKey::BrokerHeartbeat,
    ApiKey::UnregisterBroker,
    ApiKey::AllocateProducerIds,
    ApiKey::ControllerRegistration,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::UpdateRaftVoter,
];

/// The versions of `key` that are served; `None` = the API is not.
pub(crate) fn served(key: ApiKey) -> Option<RangeInclusive<i16>> {
    SERVED.contains(&key).then(|| key.stable_versions())
}

/// The versions of `key` that the controller's listeners serve; `None` = the API is not.
pub(crate) fn served_by_controller(key: ApiKey) -> Option<RangeInclusive<i16>> {
    SERVED_BY_CONTROLLER.contains(&key).then(|| key.stable_versions())
}

/// The lowest version that is advertised. For Produce it is 0, which is refused all the same:
/// librdkafka takes a higher one for a broker without Produce.
pub(crate) fn advertised_min(key: ApiKey, served: &RangeInclusive<i16>) -> i16 {
    if key == ApiKey::Produce { 0 } else { *served.start() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_have_versions() {
        assert!(SERVED.is_sorted() && SERVED_BY_CONTROLLER.is_sorted());
        for key in SERVED {
            assert!(!served(*key).unwrap().is_empty(), "{key}");
        }
        for key in SERVED_BY_CONTROLLER {
            assert!(!served_by_controller(*key).unwrap().is_empty(), "{key}");
        }
        assert_eq!(served(ApiKey::Vote), None);
        assert_eq!(served_by_controller(ApiKey::Produce), None);
        assert_eq!(served(ApiKey::LeaderAndIsr), None);
    }
}
