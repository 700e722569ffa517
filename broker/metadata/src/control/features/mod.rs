//! Features: the first records of a cluster, and updates.

mod update;

use wire::messages::abort_transaction_record::AbortTransactionRecord;
use wire::messages::config_record::ConfigRecord;
use wire::messages::feature_level_record::FeatureLevelRecord;

use crate::features::{METADATA_VERSION, METADATA_VERSION_FEATURE};
use crate::image::{CLUSTER_ID_KEY, Image, ResourceKind};
use wire::messages::metadata_records::MetadataRecord;

pub use update::{Quorum, raises_kraft_version, update_features};

/// What the first leader of a cluster writes: the metadata version and the cluster's id. Nothing
/// when the log says both already.
///
/// `group.version` and `transaction.version` begin at level 0, which the log says by silence.
pub fn bootstrap(image: &Image, cluster_id: &str) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    if !image.is_bootstrapped() {
        records.push(MetadataRecord::FeatureLevel(FeatureLevelRecord {
            name: METADATA_VERSION_FEATURE.to_owned(),
            feature_level: METADATA_VERSION,
        }));
    }
    if image.cluster_id().is_none() {
        records.push(MetadataRecord::Config(ConfigRecord {
            resource_type: ResourceKind::Broker as i8,
            resource_name: String::new(),
            name: CLUSTER_ID_KEY.to_owned(),
            value: Some(cluster_id.to_owned()),
        }));
    }
    records
}

/// Gives up the metadata transaction that the last leader left open, if it did.
pub fn abandoned_transaction(image: &Image) -> Vec<MetadataRecord> {
    if !image.is_within_transaction() {
        return Vec::new();
    }
    let reason = Some("failover".to_owned());
    vec![MetadataRecord::AbortTransaction(AbortTransactionRecord { reason })]
}
