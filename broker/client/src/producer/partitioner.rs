//! Which partition a record goes to: by its key as the Java client does, else sticky.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// Kafka's 32-bit murmur2 of the bytes.
#[must_use]
pub fn murmur2(bytes: &[u8]) -> i32 {
    // The hash is defined over 32-bit arithmetic, the length included.
    #[expect(clippy::cast_possible_truncation, reason = "the length is hashed modulo 2^32")]
    let length = bytes.len() as u32;
    let mut hash = SEED ^ length;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = [0u8; 4];
        word.copy_from_slice(chunk);
        let mut mixed = u32::from_le_bytes(word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The partition of a key among `count`.
pub(super) fn of_key(key: &[u8], count: usize) -> i32 {
    let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
    (murmur2(key) & i32::MAX) % count
}

/// Records without a key stay with one partition until it has had its share of bytes.
#[derive(Debug)]
pub(super) struct Sticky {
    share_bytes: usize,
    random: u64,
    topics: HashMap<Arc<str>, Stuck>,
}

#[derive(Debug)]
struct Stuck {
    partition: usize,
    count: usize,
    bytes: usize,
}

impl Sticky {
    pub(super) fn new(share_bytes: usize) -> Self {
        // Any seed will do: which partition comes first has no meaning.
        let random = RandomState::new().hash_one(share_bytes) | 1;
        Self { share_bytes, random, topics: HashMap::new() }
    }

    /// The partition of a record of so many bytes.
    pub(super) fn next(&mut self, topic: &Arc<str>, count: usize, bytes: usize) -> i32 {
        let count = count.max(1);
        let full = |stuck: &Stuck| stuck.bytes >= self.share_bytes || stuck.count != count;
        if self.topics.get(topic).is_none_or(full) {
            let before = self.topics.get(topic).map(|stuck| stuck.partition);
            let mut partition = self.random_below(count);
            if Some(partition) == before {
                partition = (partition + 1) % count;
            }
            let stuck = Stuck { partition, count, bytes: 0 };
            self.topics.insert(Arc::clone(topic), stuck);
        }
        let Some(stuck) = self.topics.get_mut(topic) else { return 0 };
        stuck.bytes = stuck.bytes.saturating_add(bytes);
        i32::try_from(stuck.partition).unwrap_or_default()
    }

    fn random_below(&mut self, count: usize) -> usize {
        // xorshift64: plenty for spreading records.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % count as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Kafka 4.3.1's own `Utils.murmur2`, with the partition among seven.
    const GOLDEN: &[(&str, i32, i32)] = &[
        ("", 275_646_681, 2),
        ("a", -1_563_381_124, 5),
        ("ab", 316_155_434, 0),
        ("abc", 479_470_107, 4),
        ("abcd", -1_323_649_548, 5),
        ("abcde", 461_995_741, 4),
        ("foobar", -790_332_482, 0),
        ("key-0", 29_210_041, 0),
        ("key-1", 193_331_640, 5),
        ("key-42", -187_086_521, 3),
        ("The quick brown fox jumps over the lazy dog", 495_243_318, 3),
        ("ümläut✓", 1_649_957_799, 0),
        ("0123456789abcdef", 1_438_427_052, 6),
    ];

    #[test]
    fn keys_hash_as_in_kafka() {
        for (key, hash, partition) in GOLDEN {
            assert_eq!(murmur2(key.as_bytes()), *hash, "{key}");
            assert_eq!(of_key(key.as_bytes(), 7), *partition, "{key}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!((murmur2(&all), of_key(&all, 7)), (-1_948_347_274, 3));
        assert_eq!(
            (murmur2(&[0xff, 0x80, 0xfe]), of_key(&[0xff, 0x80, 0xfe], 7)),
            (957_058_525, 3)
        );
    }

    #[test]
    fn records_without_key_move_on_after_their_share() {
        let mut sticky = Sticky::new(100);
        let topic: Arc<str> = "t".into();
        let mut seen = std::collections::BTreeSet::new();
        let mut before = None;
        for _ in 0..200 {
            let first = sticky.next(&topic, 3, 60);
            assert_eq!(sticky.next(&topic, 3, 60), first, "left before its share");
            assert_ne!(Some(first), before, "stayed after its share");
            assert!((0..3).contains(&first));
            before = Some(first);
            seen.insert(first);
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(Sticky::new(1).next(&topic, 1, 5), 0);
    }

    #[test]
    fn a_topic_that_grew_gets_a_fresh_choice() {
        let mut sticky = Sticky::new(usize::MAX);
        let topic: Arc<str> = "t".into();
        assert_eq!(sticky.next(&topic, 1, 1), 0);
        assert_ne!(sticky.next(&topic, 2, 1), 0);
    }
}
