//! An image as the records that make it: what a snapshot of the metadata log holds.

use wire::messages::config_record::ConfigRecord;
use wire::messages::feature_level_record::FeatureLevelRecord;
use wire::messages::producer_ids_record::ProducerIdsRecord;
use wire::messages::topic_record::TopicRecord;

use crate::features::METADATA_VERSION_FEATURE;
use crate::image::{Image, ProducerIds};
use wire::messages::metadata_records::MetadataRecord;

impl Image {
    /// The records that, applied to an empty image, make this one.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::with_capacity(self.topics.partition_count() + self.topics.len());
        let feature = |name: &str, level: i16| {
            let name = name.to_owned();
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name, feature_level: level })
        };
        // A reader must know how to read the rest before it reads the rest.
        if self.is_bootstrapped() {
            records.push(feature(METADATA_VERSION_FEATURE, self.features.metadata_version()));
        }
        let others = self.features.iter().filter(|(name, _)| *name != METADATA_VERSION_FEATURE);
        records.extend(others.map(|(name, level)| feature(name, level)));
        for broker in self.brokers.iter() {
            records.push(MetadataRecord::RegisterBroker(broker.to_record()));
        }
        for controller in self.controllers.iter() {
            records.push(MetadataRecord::RegisterController(controller.to_record()));
        }
        for topic in self.topics.iter() {
            records.push(MetadataRecord::Topic(TopicRecord {
                name: topic.name.to_string(),
                topic_id: topic.id.0,
            }));
            for (index, partition) in topic.partitions.iter() {
                let record = partition.to_record(topic.id.0, index.0);
                records.push(MetadataRecord::Partition(record));
            }
        }
        for (resource, set) in self.configs.iter() {
            records.extend(set.iter().map(|(name, value)| {
                MetadataRecord::Config(ConfigRecord {
                    resource_type: resource.kind as i8,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                })
            }));
        }
        records.extend(self.kept.iter().cloned());
        if self.producer_ids != ProducerIds::default() {
            records.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: self.producer_ids.last_broker.0,
                broker_epoch: self.producer_ids.last_broker_epoch,
                next_producer_id: self.producer_ids.next,
            }));
        }
        records
    }
}
