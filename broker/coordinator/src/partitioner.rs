//! Which partition of `__consumer_offsets` a group belongs to.

/// The partition of a group: the hash of Java's strings (over UTF-16 units), made non-negative,
/// modulo the number of partitions.
pub fn partition_for(group: &str, partitions: i32) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash = group.encode_utf16().fold(0, step);
    // The smallest number has no positive counterpart; Kafka takes 0 for it.
    let positive = hash.checked_abs().unwrap_or(0);
    positive.checked_rem(partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_java_counts() {
        // "polygenelubricants" hashes to the smallest number; U+1F600 is two UTF-16 units.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("test", 50), 48);
        assert_eq!(partition_for("console-consumer-1", 50), 24);
        assert_eq!(partition_for("\u{1F600}", 50), 49);
        assert_eq!(partition_for("gruppe-\u{e4}", 50), 48);
        assert_eq!(partition_for("x", 0), 0);
    }
}
