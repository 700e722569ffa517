//! Consumer groups: their states, members, and how far they lag behind.

use std::collections::BTreeMap;

use node::{CommittedOffset, Node};
use wire::ids::PartitionIndex;

use super::catalog::{
    GROUP_LAG, GROUP_MEMBERS, GROUP_MEMBERS_ALL, GROUP_OFFSET, GROUPS, OFFSETS, SERIES_LEFT_OUT,
};
use super::text::{Labels, Text};
use crate::config::MetricsLevel;

/// Series of committed offsets in one scrape; more are counted as left out.
const OFFSETS_MAX: usize = 50_000;
/// Groups in one scrape.
const GROUPS_MAX: usize = 20_000;

/// Writes the series of groups, as fine as `level` wants those of topics.
pub(crate) fn write(text: &mut Text, node: &Node, level: MetricsLevel) {
    let counts = node.group_counts();
    text.family(&GROUPS);
    for (state, count) in counts.by_state() {
        text.sample("", &Labels::new(&[("state", state)]), count);
    }
    text.single(&GROUP_MEMBERS_ALL, counts.members);
    text.single(&OFFSETS, counts.offsets);
    let mut left_out = 0;
    if level != MetricsLevel::None {
        left_out += write_members(text, node);
        left_out += write_lag(text, node, level);
    }
    text.single(&SERIES_LEFT_OUT, left_out);
}

fn write_members(text: &mut Text, node: &Node) -> usize {
    let (groups, left_out) = node.group_members(GROUPS_MAX);
    if !groups.is_empty() {
        text.family(&GROUP_MEMBERS);
        for (group, members) in groups {
            text.sample("", &Labels::new(&[("consumergroup", &group)]), members);
        }
    }
    left_out
}

fn write_lag(text: &mut Text, node: &Node, level: MetricsLevel) -> usize {
    let (offsets, left_out) = node.committed_offsets(OFFSETS_MAX);
    // Labels with offset and lag; by topic they are added up.
    let mut series: Vec<(Labels, i64, i64)> = Vec::new();
    match level {
        MetricsLevel::Partition => series.extend(offsets.iter().filter_map(|committed| {
            let index = committed.partition.to_string();
            let labels = Labels::new(&[
                ("consumergroup", &committed.group),
                ("topic", &committed.topic),
                ("partition", &index),
            ]);
            Some((labels, committed.offset, lag(node, committed)?))
        })),
        _ => {
            let mut sums: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
            for committed in &offsets {
                let Some(lag) = lag(node, committed) else { continue };
                let sum = sums.entry((&committed.group, &committed.topic)).or_default();
                *sum = (sum.0.saturating_add(committed.offset), sum.1.saturating_add(lag));
            }
            series.extend(sums.into_iter().map(|((group, topic), (offset, lag))| {
                (Labels::new(&[("consumergroup", group), ("topic", topic)]), offset, lag)
            }));
        }
    }
    if !series.is_empty() {
        text.family(&GROUP_OFFSET);
        series.iter().for_each(|(labels, offset, _)| text.sample("", labels, *offset));
        text.family(&GROUP_LAG);
        series.iter().for_each(|(labels, _, lag)| text.sample("", labels, *lag));
    }
    left_out
}

/// How much is left to read; `None` for a partition that is not here.
fn lag(node: &Node, committed: &CommittedOffset) -> Option<i64> {
    let index = PartitionIndex(committed.partition);
    let partition = node.partition_by_name(&committed.topic, index).ok()?;
    Some(partition.high_watermark().0.saturating_sub(committed.offset).max(0))
}
