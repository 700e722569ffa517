//! Where a group is in each partition, and how far from the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::{Client, CommittedOffset, GroupMember, OffsetSpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::commands::failure::Failure;

/// A partition of a topic.
pub(super) type Place = (Arc<str>, i32);

/// One partition that a group has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// The next offset that the group wants.
    pub(super) committed: Option<i64>,
    /// The partition's first offset.
    pub(super) start: Option<i64>,
    /// The offset that the partition's next record will get; none when there is no such partition.
    pub(super) end: Option<i64>,
    /// What the member said with its commit.
    pub(super) metadata: String,
    /// The member that has the partition.
    pub(super) member: Option<String>,
}

impl Progress {
    /// How many offsets the group is behind.
    pub(super) fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "topic": &*self.topic,
            "partition": self.partition,
            "committed": self.committed,
            "start": self.start,
            "end": self.end,
            "lag": self.lag(),
            "metadata": self.metadata,
            "member": self.member,
        })
    }
}

/// The offsets of the whole.
pub(super) fn total_lag(progress: &[Progress]) -> i64 {
    progress.iter().filter_map(Progress::lag).sum()
}

/// All partitions that a group has committed or that its members have.
pub(super) async fn progress(
    client: &Client,
    group: &str,
    members: &[GroupMember],
    deadline: Instant,
) -> Result<Vec<Progress>, Failure> {
    let committed = client.group_offsets(group, None).await?;
    let mut owners: BTreeMap<Place, String> = BTreeMap::new();
    for member in members {
        for (topic, partitions) in &member.partitions {
            let name: Arc<str> = Arc::from(topic.as_str());
            for partition in partitions {
                owners.insert((Arc::clone(&name), *partition), member.id.clone());
            }
        }
    }
    let places: BTreeSet<Place> = committed.keys().chain(owners.keys()).cloned().collect();
    let starts = bounds(client, &places, OffsetSpec::Earliest, deadline).await?;
    let ends = bounds(client, &places, OffsetSpec::Latest, deadline).await?;
    let one = |place: &Place| {
        let known: Option<&CommittedOffset> = committed.get(place);
        Progress {
            topic: Arc::clone(&place.0),
            partition: place.1,
            committed: known.map(|known| known.offset),
            start: starts.get(place).copied(),
            end: ends.get(place).copied(),
            metadata: known.map(|known| known.metadata.clone()).unwrap_or_default(),
            member: owners.get(place).cloned(),
        }
    };
    Ok(places.iter().map(one).collect())
}

/// The offsets of partitions; those of topics that are gone are left out.
pub(super) async fn bounds(
    client: &Client,
    places: &BTreeSet<Place>,
    spec: OffsetSpec,
    deadline: Instant,
) -> Result<BTreeMap<Place, i64>, Failure> {
    let mut by_topic: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let mut found = BTreeMap::new();
    for (topic, mut partitions) in by_topic {
        let known = match client.topic(topic, false, deadline).await {
            Ok(known) => known,
            Err(client::Error::NoTopic { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        partitions.retain(|index| known.partition(*index).is_some());
        let offsets = client.list_offsets(topic, &partitions, spec, deadline).await?;
        found.extend(
            offsets
                .into_iter()
                .filter_map(|(partition, offset)| Some(((Arc::clone(topic), partition), offset?))),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_never_negative_and_never_guessed() {
        let of = |committed, end| Progress {
            topic: "t".into(),
            partition: 0,
            committed,
            start: Some(0),
            end,
            metadata: String::new(),
            member: None,
        };
        assert_eq!(of(Some(3), Some(10)).lag(), Some(7));
        assert_eq!(of(Some(12), Some(10)).lag(), Some(0));
        assert_eq!(of(None, Some(10)).lag(), None);
        assert_eq!(of(Some(3), None).lag(), None);
        assert_eq!(total_lag(&[of(Some(3), Some(10)), of(None, Some(9)), of(Some(1), Some(2))]), 8);
    }
}
