//! Offsets by their meaning: earliest, latest, by time.

use std::collections::BTreeMap;

use tokio::time::Instant;
use wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire::messages::list_offsets_response::ListOffsetsResponse;

use crate::client::Client;
use crate::error::Error;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that is still there.
    Earliest,
    /// The one that the next record will get.
    Latest,
    /// That of the record with the latest timestamp.
    MaxTimestamp,
    /// That of the first record not older than this time, in ms since 1970.
    At(i64),
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::MaxTimestamp => -3,
            // Below zero other things are meant; no record is older than 1970.
            Self::At(time) => time.max(0),
        }
    }
}

impl Client {
    /// The offset of each partition; `None` where no record is as young as the time asked for.
    ///
    /// # Errors
    /// A leader cannot be reached in time, or refuses.
    pub async fn list_offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        spec: OffsetSpec,
        deadline: Instant,
    ) -> Result<BTreeMap<i32, Option<i64>>, Error> {
        let what = format!("offsets of {topic}");
        self.retry(&what, deadline, async || {
            let tried = async {
                let mut offsets = BTreeMap::new();
                for (leader, indexes) in self.leaders(topic, partitions, deadline).await? {
                    let request = request(topic, &indexes, spec);
                    let connection = self.broker(leader, deadline).await?;
                    let until = self.request_deadline(deadline);
                    take(topic, connection.call(&request, until).await?, &mut offsets)?;
                }
                match partitions.iter().find(|index| !offsets.contains_key(index)) {
                    Some(index) => {
                        Err(Error::Missing { about: format!("offset of {topic}-{index}") })
                    }
                    None => Ok(offsets),
                }
            };
            let tried = tried.await;
            if tried.as_ref().is_err_and(Error::is_retriable) {
                self.forget(topic);
            }
            tried
        })
        .await
    }

    /// The leaders of partitions, each with those that it leads.
    pub(crate) async fn leaders(
        &self,
        topic: &str,
        partitions: &[i32],
        deadline: Instant,
    ) -> Result<BTreeMap<i32, Vec<i32>>, Error> {
        let known = self.topic(topic, false, deadline).await?;
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for index in partitions {
            let partition = known.partition(*index).ok_or_else(|| Error::NoPartition {
                topic: topic.to_owned(),
                partition: *index,
                count: known.partitions.len(),
            })?;
            let about = || Error::Missing { about: format!("the leader of {topic}-{index}") };
            by_leader.entry(partition.leader.ok_or_else(about)?).or_default().push(*index);
        }
        Ok(by_leader)
    }
}

fn take(
    topic: &str,
    response: ListOffsetsResponse,
    offsets: &mut BTreeMap<i32, Option<i64>>,
) -> Result<(), Error> {
    for answer in response.topics.into_iter().flat_map(|topic| topic.partitions) {
        let about = format!("offset of {topic}-{}", answer.partition_index);
        Error::check(answer.error_code, None, about)?;
        let offset = Some(answer.offset).filter(|offset| *offset >= 0);
        offsets.insert(answer.partition_index, offset);
    }
    Ok(())
}

fn request(topic: &str, partitions: &[i32], spec: OffsetSpec) -> ListOffsetsRequest {
    let partition = |index: &i32| ListOffsetsPartition {
        partition_index: *index,
        timestamp: spec.timestamp(),
        current_leader_epoch: -1,
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: partitions.iter().map(partition).collect(),
        }],
        ..ListOffsetsRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_asks_for_nothing_else() {
        assert_eq!(OffsetSpec::At(-2).timestamp(), 0);
        assert_eq!(OffsetSpec::At(7).timestamp(), 7);
        assert_eq!(OffsetSpec::Earliest.timestamp(), -2);
    }
}
