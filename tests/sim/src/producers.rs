//! Producers: what a broker has acknowledged it keeps, through a restart of its process all of it,
//! through a power loss what it had flushed. A retried batch is known as one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metadata::Image;
use node::Node;
use replication::{Acks, Isolation, Partition, ReadRequest};
use storage::disk::sim::{Random, SimDisk};
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, PartitionIndex, TopicId, Uuid};
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::records::{BatchBuilder, BatchIter, BatchOptions};

/// One partition's records, as written by its only producer.
#[derive(Default)]
struct Kept {
    values: Vec<String>,
    /// So many are there for certain after a power loss, and after a restart of the process.
    flushed: usize,
    certain: usize,
    /// What is there has not been looked at since the host started.
    unseen: bool,
    /// The id of the producer, and where its records begin.
    producer: Option<(i64, usize)>,
}

/// All producers of a cluster.
#[derive(Default)]
pub(crate) struct Producers {
    /// By host, topic and partition.
    kept: BTreeMap<(usize, Uuid, i32), Kept>,
    /// The ids given to producers.
    ids: BTreeSet<i64>,
    pub(crate) acknowledged: u64,
    pub(crate) duplicates: u64,
    written: u64,
}

impl Producers {
    /// A fresh producer's id, if the broker has one at hand. None comes twice in a cluster.
    pub(crate) fn new_id(&mut self, node: &Node) -> Option<i64> {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let answer = node.producer_id_at_hand(&request)?;
        let id = answer.producer_id;
        assert_eq!(answer.error_code, 0);
        assert!(self.ids.insert(id), "producer id {id} is given twice");
        Some(id)
    }

    /// A producer writes to a partition that this host serves.
    pub(crate) fn produce(
        &mut self,
        now: i64,
        at: usize,
        node: &Node,
        disk: &SimDisk,
        random: &mut Random,
    ) {
        let image = node.image();
        let own: Vec<(Uuid, i32, String)> = image
            .topics
            .iter()
            .flat_map(|topic| {
                let here = topic.partitions.iter().filter(|(_, p)| p.leader == node.node_id());
                here.map(|(index, _)| (topic.id.0, index.0, topic.name.to_string()))
            })
            .collect();
        if own.is_empty() {
            return;
        }
        let (id, index, name) = &own[random.below(own.len() as u64) as usize];
        let Ok(partition) = node.partition_by_name(name, PartitionIndex(*index)) else { return };
        let fresh = self.new_id(node);
        let key = (at, *id, *index);
        if self.kept.get(&key).is_some_and(|kept| kept.unseen) {
            self.look(now, key, &partition);
        }
        let kept = self.kept.entry(key).or_default();
        if kept.unseen {
            return;
        }
        if kept.producer.is_none() || random.one_in(8) {
            kept.producer = fresh.map(|fresh| (fresh, kept.values.len()));
        }
        self.written += 1;
        let value = format!("{at}-{}", self.written);
        let batch = batch(&value, kept.producer.map(|(id, from)| (id, kept.values.len() - from)));
        // What fails may be found later: nothing was said of it.
        kept.values.push(value);
        let produced = match partition.append(now, batch, Acks::All, LeaderEpoch::UNKNOWN) {
            Ok(produced) => produced,
            Err(_) if disk.is_down() => return,
            Err(error) => {
                // The image is ahead of the partition.
                let code = error.code();
                assert_eq!(code, ErrorCode::NotLeaderOrFollower, "{name}-{index}: {error}");
                kept.values.pop();
                return;
            }
        };
        assert_eq!(produced.last_offset.0 + 1, kept.values.len() as i64, "{name}-{index}");
        assert!(!produced.duplicate && produced.committed, "{name}-{index}: {produced:?}");
        self.acknowledged += 1;
        kept.certain = kept.values.len();
        if random.one_in(2) && partition.flush(produced.required()).is_ok() {
            kept.flushed = kept.certain;
        }
    }

    /// The host's process has ended; the power too, or not.
    pub(crate) fn ended(&mut self, at: usize, power: bool) {
        for (_, kept) in self.kept.iter_mut().filter(|((host, ..), _)| *host == at) {
            kept.unseen = true;
            if power {
                kept.certain = kept.flushed;
            }
        }
    }

    /// The host has stopped cleanly: everything is flushed.
    pub(crate) fn closed(&mut self, at: usize) {
        for (_, kept) in self.kept.iter_mut().filter(|((host, ..), _)| *host == at) {
            kept.unseen = true;
            kept.flushed = kept.certain;
        }
    }

    /// The host's disk is no more.
    pub(crate) fn lost(&mut self, at: usize) {
        self.kept.retain(|(host, ..), _| *host != at);
    }

    /// Compares what a host serves with what it has acknowledged.
    pub(crate) fn check(&mut self, now: i64, at: usize, node: &Node) {
        let image = node.image();
        let named = |id: Uuid| image.topics.by_id(TopicId(id)).map(|topic| topic.name.clone());
        let keys: Vec<_> = self.kept.keys().copied().filter(|(host, ..)| *host == at).collect();
        for key in keys {
            let (_, id, index) = key;
            let Some(name) = named(id) else { continue };
            let partition = node.partition_by_name(&name, PartitionIndex(index)).unwrap();
            self.look(now, key, &partition);
        }
    }

    /// Whether all partitions were looked at since their hosts started.
    pub(crate) fn all_seen(&self) -> bool {
        self.kept.values().all(|kept| !kept.unseen)
    }

    /// Topics that are gone are missed by nobody.
    pub(crate) fn forget(&mut self, image: &Image) {
        self.kept.retain(|(_, id, _), _| image.topics.by_id(TopicId(*id)).is_some());
    }

    /// Compares a partition with what was acknowledged, if it is served, and takes it as what is
    /// there.
    fn look(&mut self, now: i64, key: (usize, Uuid, i32), partition: &Partition) {
        if !partition.leads() {
            return;
        }
        let (at, _, index) = key;
        let name = format!("{}-{index} at {at}", partition.topic());
        let kept = self.kept.get_mut(&key).unwrap();
        let found = values(partition);
        let (certain, count) = (kept.certain, found.len());
        assert!(count >= certain, "{name}: {count} of {certain} are left");
        assert_eq!(found, kept.values[..count], "{name}");
        kept.unseen = false;
        kept.values.truncate(count);
        (kept.certain, kept.flushed) = (count, kept.flushed.min(count));
        kept.producer = kept.producer.filter(|(_, from)| *from < count);
        let Some((producer, from)) = kept.producer else { return };
        // It has not heard, and sends its last batch again.
        let again = batch(&kept.values[count - 1], Some((producer, count - 1 - from)));
        let again = partition.append(now, again, Acks::All, LeaderEpoch::UNKNOWN).unwrap();
        assert!(again.duplicate, "{name}: {again:?} is no duplicate");
        assert_eq!(again.first_offset.0, count as i64 - 1, "{name}: of another batch");
        self.duplicates += 1;
    }
}

fn batch(value: &str, producer: Option<(i64, usize)>) -> Bytes {
    let mut options = BatchOptions::default();
    if let Some((id, sequence)) = producer {
        options.producer_id = id;
        options.producer_epoch = 0;
        options.base_sequence = sequence as i32;
    }
    let mut builder = BatchBuilder::new(options);
    builder.append(0, None, Some(value.as_bytes()), &[]);
    builder.build().unwrap()
}

/// Every value of the partition, from its log start.
fn values(partition: &Partition) -> Vec<String> {
    let mut found = Vec::new();
    let mut offset = partition.log_start_offset();
    while offset < partition.log_end_offset() {
        let request = ReadRequest {
            fetch_offset: offset,
            max_bytes: 1 << 20,
            min_one: true,
            isolation: Isolation::HighWatermark,
            current_leader_epoch: LeaderEpoch::UNKNOWN,
        };
        let read = partition.read(request).unwrap();
        let Some(range) = read.range else { break };
        for batch in BatchIter::new(Bytes::from(range.read().unwrap())) {
            for record in batch.unwrap().records(1 << 20).unwrap().iter() {
                let value = record.unwrap().value.unwrap().to_vec();
                found.push(String::from_utf8(value).unwrap());
            }
        }
        offset = read.next_offset;
    }
    found
}
