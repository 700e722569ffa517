//! Deleting the oldest records of partitions.

use std::collections::BTreeMap;

use wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use super::milliseconds_left;
use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Deletes the records of a topic's partitions before these offsets; -1 is all there are.
    /// Gives the first offset that is left in each.
    ///
    /// # Errors
    /// An offset is outside, the topic's records may not be deleted, or a leader does not answer
    /// in time.
    pub async fn delete_records(
        &self,
        topic: &str,
        before: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let deadline = self.deadline();
        let partitions: Vec<i32> = before.keys().copied().collect();
        let what = format!("records of {topic}");
        // Deleting again what is deleted already changes nothing.
        self.retry(&what, deadline, async || {
            let mut left = BTreeMap::new();
            for (leader, indexes) in self.leaders(topic, &partitions, deadline).await? {
                let partition = |index: i32| DeleteRecordsPartition {
                    partition_index: index,
                    offset: before.get(&index).copied().unwrap_or_default(),
                };
                let request = DeleteRecordsRequest {
                    topics: vec![DeleteRecordsTopic {
                        name: topic.to_owned(),
                        partitions: indexes.into_iter().map(partition).collect(),
                    }],
                    timeout_ms: milliseconds_left(deadline),
                };
                let connection = self.broker(leader, deadline).await?;
                let response = connection.call(&request, self.request_deadline(deadline)).await?;
                for one in response.topics.into_iter().flat_map(|topic| topic.partitions) {
                    let about = format!("records of {topic}-{}", one.partition_index);
                    if let Err(error) = Error::check(one.error_code, None, about) {
                        self.forget(topic);
                        return Err(error);
                    }
                    left.insert(one.partition_index, one.low_watermark);
                }
            }
            Ok(left)
        })
        .await
    }
}
