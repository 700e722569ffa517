//! Topics and their partitions, written straight from their state: one short lock for each
//! partition, no registry in between.

use std::sync::Arc;

use node::{Node, TopicReplicas};
use replication::{PartitionStats, TrafficCounts};

use super::catalog::{
    BYTES_IN, BYTES_OUT, BYTES_REJECTED, Def, FETCHES, FETCHES_FAILED, HIGH_WATERMARK, LOG_END,
    LOG_SEGMENTS, LOG_SIZE, LOG_START, PRODUCER_IDS, PRODUCES, PRODUCES_FAILED, PURGATORY_SIZE,
    RECORDS_IN,
};
use super::text::{Labels, Text};
use crate::config::MetricsLevel;

/// One series of logs: a partition, or a topic's partitions added up.
struct Series {
    labels: Labels,
    sums: Sums,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    log_start: i64,
    log_end: i64,
    high_watermark: i64,
    size: u64,
    segments: usize,
    producers: usize,
    waiting_produces: usize,
    waiting_fetches: usize,
    traffic: TrafficCounts,
}

impl Sums {
    fn add(&mut self, stats: &PartitionStats) {
        self.log_start += stats.log_start.0;
        self.log_end += stats.log_end.0;
        self.high_watermark += stats.high_watermark.0;
        self.size += stats.size_bytes;
        self.segments += stats.segments;
        self.producers += stats.producers;
        self.waiting_produces += stats.waiting.produces;
        self.waiting_fetches += stats.waiting.fetches;
        self.traffic += stats.traffic;
    }
}

/// Everything that one look at all partitions has found.
struct Look {
    /// By topic, for traffic.
    topics: Vec<(Labels, TrafficCounts)>,
    logs: Vec<Series>,
    all: Sums,
}

impl Look {
    fn at(topics: &[Arc<TopicReplicas>], level: MetricsLevel) -> Self {
        let mut look = Self { topics: Vec::new(), logs: Vec::new(), all: Sums::default() };
        for topic in topics {
            let mut of_topic = Sums::default();
            for partition in topic.iter() {
                let stats = partition.stats();
                of_topic.add(&stats);
                look.all.add(&stats);
                if level == MetricsLevel::Partition {
                    let index = partition.index().0.to_string();
                    let labels = Labels::new(&[("topic", &topic.name), ("partition", &index)]);
                    let mut sums = Sums::default();
                    sums.add(&stats);
                    look.logs.push(Series { labels, sums });
                }
            }
            if level == MetricsLevel::None {
                continue;
            }
            let labels = Labels::new(&[("topic", &topic.name)]);
            if level == MetricsLevel::Topic {
                look.logs.push(Series { labels: labels.clone(), sums: of_topic });
            }
            look.topics.push((labels, of_topic.traffic));
        }
        look
    }
}

type Traffic = (Def, fn(&TrafficCounts) -> u64);

const TRAFFIC: [Traffic; 8] = [
    (BYTES_IN, |traffic| traffic.bytes_in),
    (BYTES_OUT, |traffic| traffic.bytes_out),
    (BYTES_REJECTED, |traffic| traffic.bytes_rejected),
    (RECORDS_IN, |traffic| traffic.records_in),
    (PRODUCES, |traffic| traffic.produces),
    (PRODUCES_FAILED, |traffic| traffic.produces_failed),
    (FETCHES, |traffic| traffic.fetches),
    (FETCHES_FAILED, |traffic| traffic.fetches_failed),
];

type OfLog = (Def, fn(&Sums) -> i64);

const LOGS: [OfLog; 5] = [
    (LOG_SIZE, |sums| i64::try_from(sums.size).unwrap_or(i64::MAX)),
    (LOG_SEGMENTS, |sums| i64::try_from(sums.segments).unwrap_or(i64::MAX)),
    (LOG_START, |sums| sums.log_start),
    (LOG_END, |sums| sums.log_end),
    (HIGH_WATERMARK, |sums| sums.high_watermark),
];

/// Writes the series of topics and partitions, as fine as `level` wants them.
pub(crate) fn write(text: &mut Text, node: &Node, level: MetricsLevel) {
    let (topics, departed) = node.topics_and_departed();
    let look = Look::at(&topics, level);
    let mut all = look.all.traffic;
    all += departed;
    for (def, value) in &TRAFFIC {
        text.family(def);
        text.sample("", &Labels::NONE, value(&all));
        for (labels, traffic) in &look.topics {
            text.sample("", labels, value(traffic));
        }
    }
    for (def, value) in LOGS.iter().filter(|_| !look.logs.is_empty()) {
        text.family(def);
        for series in &look.logs {
            text.sample("", &series.labels, value(&series.sums));
        }
    }
    text.family(&PURGATORY_SIZE);
    for (kind, size) in
        [("Produce", look.all.waiting_produces), ("Fetch", look.all.waiting_fetches)]
    {
        text.sample("", &Labels::new(&[("delayedOperation", kind)]), size);
    }
    text.single(&PRODUCER_IDS, look.all.producers);
}
