//! What members tell each other inside join and sync, and how partitions are shared out.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use wire::Message;
use wire::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;

use crate::error::Error;

/// The version of the consumer protocol that is written inside join and sync.
const PROTOCOL_VERSION: i16 = 0;

/// A message of the consumer protocol, its version before it.
pub(super) fn versioned<M: Message<Range = wire::NoRange>>(message: &M) -> Result<Bytes, Error> {
    let body = wire::message::to_bytes(message, PROTOCOL_VERSION)?;
    Ok([&PROTOCOL_VERSION.to_be_bytes()[..], &body].concat().into())
}

pub(super) fn read_versioned<M: Message>(mut bytes: Bytes) -> Result<M, wire::codec::DecodeError> {
    let version = wire::codec::Reader::new(bytes.clone()).i16()?;
    bytes.advance(2);
    // A later version only adds fields at the end, which a reader of an earlier one passes over.
    let version = version.clamp(*M::VERSIONS.start(), *M::VERSIONS.end());
    M::decode(&mut wire::codec::Reader::new(bytes), version)
}

pub(crate) fn read_subscription(bytes: Bytes) -> Result<Vec<String>, wire::codec::DecodeError> {
    Ok(read_versioned::<ConsumerProtocolSubscription>(bytes)?.topics)
}

pub(crate) fn read_assignment(
    bytes: Bytes,
) -> Result<BTreeMap<String, Vec<i32>>, wire::codec::DecodeError> {
    if bytes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let assignment = read_versioned::<ConsumerProtocolAssignment>(bytes)?;
    let partitions = assignment.assigned_partitions.into_iter();
    Ok(partitions.map(|topic| (topic.topic, topic.partitions)).collect())
}

pub(super) type Shares = BTreeMap<String, BTreeMap<String, Vec<i32>>>;

/// Kafka's range strategy: of each topic, every member gets a run of partitions; the first
/// members, by id, get one more when it does not come out even.
pub(super) fn range(
    wanted: &BTreeMap<String, Vec<String>>,
    counts: &BTreeMap<String, usize>,
) -> Shares {
    let mut shares = Shares::new();
    for (topic, members) in wanted {
        let mut members = members.clone();
        members.sort();
        let count = counts.get(topic).copied().unwrap_or_default();
        let (each, more) = (count / members.len().max(1), count % members.len().max(1));
        let mut partitions = (0i32..).take(count);
        for (position, member) in members.iter().enumerate() {
            let take = each + usize::from(position < more);
            let share: Vec<i32> = partitions.by_ref().take(take).collect();
            if !share.is_empty() {
                shares.entry(member.clone()).or_default().insert(topic.clone(), share);
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(members: &[&str], count: usize) -> Vec<(String, Vec<i32>)> {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        let wanted = BTreeMap::from([("t".to_owned(), members)]);
        let counts = BTreeMap::from([("t".to_owned(), count)]);
        range(&wanted, &counts)
            .into_iter()
            .map(|(member, mut topics)| (member, topics.remove("t").unwrap()))
            .collect()
    }

    #[test]
    fn range_gives_the_first_members_one_more() {
        let owned = |name: &str, share: &[i32]| (name.to_owned(), share.to_vec());
        let expected = [owned("a", &[0, 1, 2]), owned("b", &[3, 4]), owned("c", &[5, 6])];
        assert_eq!(shares(&["c", "a", "b"], 7), expected);
        assert_eq!(shares(&["a", "b"], 1), [owned("a", &[0])]);
        assert_eq!(shares(&["a"], 0), []);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["x".to_owned()],
            ..ConsumerProtocolSubscription::default()
        };
        let bytes = versioned(&subscription).unwrap();
        assert_eq!(&bytes[..2], [0, 0]);
        assert_eq!(read_subscription(bytes).unwrap(), ["x"]);
        assert_eq!(read_assignment(Bytes::new()).unwrap(), BTreeMap::new());
        assert!(read_assignment(Bytes::from_static(&[0])).is_err());
    }
}
