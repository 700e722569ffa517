//! The names of partition directories: `<topic>-<n>`, and what the suffixes mean.

use std::fmt;

use wire::ids::{PartitionIndex, Uuid};

/// The longest name of a directory, and the longest that Kafka makes.
const NAME_BYTES_MAX: usize = 255;
/// The longest topic name.
const TOPIC_BYTES_MAX: usize = 249;

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name, a legal one.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
}

/// What a directory in a log directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryName {
    /// A partition's log.
    Partition(TopicPartition),
    /// A deleted partition's log on its way out.
    Deleted,
    /// A log that no assignment wanted, set aside for people.
    Stray,
    /// A log that is being moved between directories (Kafka makes these, we do not yet).
    Future,
    /// Nothing of ours.
    Unknown,
}

/// A suffix that takes a partition's directory out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `-delete`
    Delete,
    /// `-stray`
    Stray,
}

impl TopicPartition {
    /// None when the name is not a legal topic name (so not safe in a path either) or the index
    /// is negative.
    pub fn new(topic: &str, partition: PartitionIndex) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && partition.0 >= 0;
        let safe = topic != "." && topic != ".." && topic.bytes().all(legal);
        (fits && safe).then(|| Self { topic: topic.to_owned(), partition })
    }

    /// The name of the partition's directory.
    pub fn directory_name(&self) -> String {
        self.to_string()
    }

    /// The name that takes the directory out of service. The id makes it unique, as a topic may
    /// be deleted and created again before the bytes are gone. A long topic name is cut so that
    /// the whole fits: the suffix says everything that matters.
    pub fn retired_name(&self, id: Uuid, suffix: Suffix) -> String {
        let suffix = match suffix {
            Suffix::Delete => "delete",
            Suffix::Stray => "stray",
        };
        let id = u128::from_be_bytes(id.0);
        let tail = format!("-{}.{id:032x}-{suffix}", self.partition);
        let room = NAME_BYTES_MAX.saturating_sub(tail.len());
        // Legal names are ASCII, so every byte is a boundary.
        let topic = self.topic.get(..room.min(self.topic.len())).unwrap_or_default();
        format!("{topic}{tail}")
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl DirectoryName {
    /// What the name says.
    pub fn parse(name: &str) -> Self {
        let retired =
            [("-delete", Self::Deleted), ("-stray", Self::Stray), ("-future", Self::Future)];
        for (suffix, meaning) in retired {
            // `<topic>-<n>.<id><suffix>`; without the id it may be a topic of that name, or
            // nothing: `a-delete` has no partition.
            if let Some((rest, id)) =
                name.strip_suffix(suffix).and_then(|rest| rest.rsplit_once('.'))
                && !id.is_empty()
                && !id.contains('-')
                && parse_partition(rest).is_some()
            {
                return meaning;
            }
        }
        parse_partition(name).map_or(Self::Unknown, Self::Partition)
    }
}

fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition: i32 = digits.parse().ok()?;
    // Only the form that we would write: `a-01` is another directory than `a-1`.
    let partition = TopicPartition::new(topic, PartitionIndex(partition))?;
    (partition.directory_name() == name).then_some(partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, index: i32) -> TopicPartition {
        TopicPartition::new(topic, PartitionIndex(index)).unwrap()
    }

    #[track_caller]
    fn check(name: &str, expect: DirectoryName) {
        assert_eq!(DirectoryName::parse(name), expect, "{name}");
    }

    #[test]
    fn names_are_read_as_kafka_writes_them() {
        let is = |topic, index| DirectoryName::Partition(partition(topic, index));
        check("orders-0", is("orders", 0));
        check("a-b.c_d-2147483647", is("a-b.c_d", i32::MAX));
        check("a--1", is("a-", 1));
        check("x-delete-3", is("x-delete", 3));
        check("orders-0.2e6cc3bc63854a0195bba4e539c7758a-delete", DirectoryName::Deleted);
        check("orders-0.a6fa0645fc11469e9e2a6d620fbc407f-stray", DirectoryName::Stray);
        check("orders-0.a6fa0645fc11469e9e2a6d620fbc407f-future", DirectoryName::Future);
        for unknown in [
            "",
            "-",
            "-0",
            "lost+found",
            "orders",
            "orders-",
            "orders-01",
            "orders-+1",
            "orders-2147483648",
            "orders-0.-delete",
            "orders-delete",
            "or ders-0",
            "..-0",
            "orders.abc-delete",
        ] {
            check(unknown, DirectoryName::Unknown);
        }
    }

    #[test]
    fn retired_names_fit_and_are_recognised() {
        let id = Uuid(0x2e6c_c3bc_6385_4a01_95bb_a4e5_39c7_758a_u128.to_be_bytes());
        let delete = partition("orders", 0).retired_name(id, Suffix::Delete);
        assert_eq!(delete, "orders-0.2e6cc3bc63854a0195bba4e539c7758a-delete");
        check(&delete, DirectoryName::Deleted);
        let long = partition(&"x".repeat(249), 12).retired_name(id, Suffix::Stray);
        // Kafka 4.3.1 keeps 213 letters of such a name.
        assert_eq!(long.len(), 255);
        assert_eq!(long.trim_start_matches('x'), "-12.2e6cc3bc63854a0195bba4e539c7758a-stray");
        check(&long, DirectoryName::Stray);
    }

    #[test]
    fn names_that_are_not_safe_in_a_path_do_not_exist() {
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert_eq!(TopicPartition::new(bad, PartitionIndex(0)), None, "{bad}");
        }
        assert_eq!(TopicPartition::new("a", PartitionIndex(-1)), None);
    }
}
