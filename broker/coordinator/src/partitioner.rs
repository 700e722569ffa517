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

    /// Printed by Kafka 4.3.1's own classes: `Utils.abs(group.hashCode()) % n` for n of 50, 7,
    /// 1,000 and 2^31 - 1.
    #[test]
    fn as_java_counts() {
        let long = "x".repeat(300);
        let golden: &[(&str, [i32; 4])] = &[
            ("", [0, 0, 0, 0]),
            ("a", [47, 6, 97, 97]),
            ("test", [48, 1, 498, 3_556_498]),
            ("console-consumer-1", [24, 2, 224, 35_782_224]),
            ("my.group_with-all.kinds", [39, 4, 539, 1_145_679_539]),
            // Hashes to the smallest number.
            ("polygenelubricants", [0, 0, 0, 0]),
            ("gruppe-\u{e4}", [48, 6, 898, 673_522_898]),
            (
                "\u{65e5}\u{672c}\u{8a9e}\u{306e}\u{30b0}\u{30eb}\u{30fc}\u{30d7}",
                [11, 2, 811, 935_085_811],
            ),
            // Two UTF-16 units each beyond U+FFFF.
            ("\u{1f600}", [49, 2, 899, 1_772_899]),
            ("g\u{1f600}\u{301}x\u{10ffff}", [35, 3, 935, 2_124_655_935]),
            ("\u{0}", [0, 0, 0, 0]),
            ("\u{ffff}", [35, 1, 535, 65_535]),
            ("AaAaAaAa", [34, 0, 984, 540_425_984]),
            ("BBBBBBBB", [34, 0, 984, 540_425_984]),
            (&long, [14, 4, 264, 1_757_771_264]),
        ];
        for (group, expected) in golden {
            let ours = [50, 7, 1_000, i32::MAX].map(|n| partition_for(group, n));
            assert_eq!(ours, *expected, "{group:?}");
        }
        assert_eq!(partition_for("x", 0), 0);
    }
}
