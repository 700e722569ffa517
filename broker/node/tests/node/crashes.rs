//! Power fails at any call: whatever was acknowledged as durable is there afterwards, nothing that
//! was never written is, and the node always comes up again.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use tidelog_node::Node;
use wire::ErrorCode;
use wire::ids::Offset;
use wire::messages::init_producer_id_request::InitProducerIdRequest;

use crate::common::{NOW, append, config, create_code, delete, values};

/// How many histories one run of the test tells.
const SEEDS: u64 = 60;
/// How often the power fails in one history.
const ROUNDS: usize = 4;
const TOPICS: u64 = 5;

/// A splitmix64 sequence: the test's own choices.
struct Choice(u64);

impl Choice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What has to be found after a crash.
#[derive(Debug, Default)]
struct Promised {
    /// Topics acknowledged as made, with the values written since, and how many are durable.
    topics: BTreeMap<String, (Vec<String>, usize)>,
    /// Topics whose last request was cut off: they may be there or not.
    unsure: BTreeSet<String>,
    producer_id_max: i64,
}

/// Works until the power fails or `steps` are done.
fn work(node: &Node, sim: &SimDisk, choice: &mut Choice, promised: &mut Promised, steps: usize) {
    for step in 0..steps {
        if sim.is_down() {
            return;
        }
        let name = format!("topic-{}", choice.below(TOPICS));
        match choice.below(10) {
            0 => {
                let had = promised.topics.contains_key(&name);
                match create_code(node, &name, 1, &[("segment.bytes", "1048576")]) {
                    ErrorCode::None => {
                        assert!(!had, "{name} was made twice");
                        promised.topics.insert(name.clone(), (Vec::new(), 0));
                        promised.unsure.remove(&name);
                    }
                    ErrorCode::TopicAlreadyExists => {
                        assert!(had || promised.unsure.contains(&name), "{name} unexpected");
                    }
                    _ if had => {}
                    _ => drop(promised.unsure.insert(name)),
                }
            }
            1 => match delete(node, &name) {
                ErrorCode::None => {
                    promised.topics.remove(&name);
                    promised.unsure.remove(&name);
                }
                ErrorCode::UnknownTopicOrPartition => {
                    assert!(!promised.topics.contains_key(&name), "{name} was lost");
                }
                _ => {
                    promised.topics.remove(&name);
                    promised.unsure.insert(name);
                }
            },
            2 => {
                let request =
                    InitProducerIdRequest { transactional_id: None, ..Default::default() };
                let answer = node.init_producer_id(NOW, &request);
                if answer.error_code == 0 {
                    assert!(answer.producer_id > promised.producer_id_max, "id given twice");
                    promised.producer_id_max = answer.producer_id;
                }
            }
            3 => node.checkpoint(),
            4 => node.run_retention(NOW),
            5 => drop(node.metadata_tick(NOW)),
            kind => {
                let Some((written, durable)) = promised.topics.get_mut(&name) else { continue };
                let Ok(partition) = node.partition_by_name(&name, wire::ids::PartitionIndex(0))
                else {
                    assert!(sim.is_down() || !node.take_notices().is_empty(), "{name} missing");
                    continue;
                };
                let value = format!("{step}-{}", choice.below(1 << 40));
                // An append that fails may be found later: nothing was said of it.
                written.push(value.clone());
                let Ok(produced) = append(&partition, &[&value]) else { return };
                assert_eq!(produced.last_offset.0 + 1, i64::try_from(written.len()).unwrap());
                if kind < 8 && partition.flush(produced.required()).is_ok() {
                    *durable = written.len();
                }
            }
        }
    }
}

/// Compares what is found with what was promised, and takes it as the new truth.
fn check(node: &Node, promised: &mut Promised) {
    let image = node.image();
    for (name, (written, durable)) in &mut promised.topics {
        assert!(image.topics.by_name(name).is_some(), "{name} was lost");
        let partition = node.partition_by_name(name, wire::ids::PartitionIndex(0)).unwrap();
        let found = values(&partition);
        assert!(found.len() >= *durable, "{name}: {} of {durable} are left", found.len());
        assert_eq!(found, written[..found.len()], "{name}");
        written.truncate(found.len());
        if partition.flush(Offset(i64::try_from(found.len()).unwrap())).is_err() {
            // The power failed in the middle of the check: the next one goes on.
            return;
        }
        *durable = found.len();
    }
    for topic in image.topics.iter() {
        if promised.topics.contains_key(&*topic.name) {
            continue;
        }
        assert!(promised.unsure.contains(&*topic.name), "{} came from nowhere", topic.name);
        let partition = node.partition_by_name(&topic.name, wire::ids::PartitionIndex(0)).unwrap();
        let found = values(&partition);
        let durable = found.len();
        promised.topics.insert(topic.name.to_string(), (found, durable));
    }
    promised.unsure.clear();
}

fn history(seed: u64) {
    let sim = SimDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut choice = Choice(seed);
    let mut promised = Promised { producer_id_max: -1, ..Promised::default() };
    for _ in 0..ROUNDS {
        let mut small = config(&["/data"]);
        small.metadata_snapshot_bytes = 1_000;
        // Sometimes the power fails while the node comes up.
        sim.crash_after(1 + choice.below(300));
        let opened = Node::open(small.clone(), Arc::clone(&disk), NOW, choice.below(u64::MAX));
        let node = match opened {
            Ok(node) => node,
            Err(error) => {
                assert!(sim.is_down(), "refuses to open: {error}");
                sim.crash();
                continue;
            }
        };
        if !sim.is_down() {
            check(&node, &mut promised);
        }
        work(&node, &sim, &mut choice, &mut promised, 60);
        drop(node);
        sim.crash();
    }
    let node = Node::open(config(&["/data"]), disk, NOW, seed).unwrap();
    check(&node, &mut promised);
}

#[test]
fn what_was_promised_is_kept() {
    for seed in 0..SEEDS {
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| history(seed)));
        if let Err(why) = told {
            println!("seed={seed}");
            std::panic::resume_unwind(why);
        }
    }
}
