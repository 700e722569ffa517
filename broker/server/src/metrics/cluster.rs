//! This broker and the cluster: what a dashboard shows first.

use std::path::Path;

use node::Node;
use wire::ids::BrokerId;

use super::catalog::{
    ACTIVE_BROKERS, ACTIVE_CONTROLLER, AT_MIN_ISR, BROKER_STATE, FENCED_BROKERS, FETCH_SESSIONS,
    GLOBAL_PARTITIONS, GLOBAL_TOPICS, LEADERS, LOG_DIR_BYTES, LOG_DIR_FREE, LOG_DIR_OFFLINE,
    LOG_DIRS_OFFLINE, NOT_PREFERRED, OFFLINE_PARTITIONS, OFFLINE_REPLICAS, PARTITIONS,
    UNDER_MIN_ISR, UNDER_REPLICATED,
};
use super::text::{Labels, Text};

/// Kafka's numbers for the states of a broker.
const RUNNING: u8 = 3;
const STOPPING: u8 = 6;

/// Writes what the image and the directories say.
pub(crate) fn write(text: &mut Text, node: &Node, stopping: bool) {
    let image = node.image();
    let this = node.node_id();
    let counts = node.partition_counts();
    text.single(&BROKER_STATE, if stopping { STOPPING } else { RUNNING });
    let fenced = image.brokers.iter().filter(|broker| broker.fenced).count();
    text.single(&ACTIVE_BROKERS, image.brokers.len() - fenced);
    text.single(&FENCED_BROKERS, fenced);
    // The quorum is this process alone.
    text.single(&ACTIVE_CONTROLLER, 1);
    text.single(&GLOBAL_TOPICS, image.topics.len());
    text.single(&GLOBAL_PARTITIONS, image.topics.partition_count());
    text.single(&OFFLINE_PARTITIONS, counts.offline);
    text.single(&NOT_PREFERRED, counts.not_preferred);
    let here = Here::count(node, this);
    text.single(&PARTITIONS, here.replicas);
    text.single(&LEADERS, here.leaders);
    text.single(&OFFLINE_REPLICAS, here.offline);
    text.single(&UNDER_REPLICATED, counts.under_replicated);
    text.single(&UNDER_MIN_ISR, counts.under_min_isr);
    text.single(&AT_MIN_ISR, counts.at_min_isr);
    text.single(&FETCH_SESSIONS, node.fetch_sessions().len());
    write_dirs(text, node);
}

/// The partitions that this broker has.
#[derive(Default)]
struct Here {
    replicas: usize,
    leaders: usize,
    offline: usize,
}

impl Here {
    fn count(node: &Node, this: BrokerId) -> Self {
        let image = node.image();
        let mut here = Self::default();
        for topic in image.topics.iter() {
            let served = node.topic(topic.id);
            for (index, partition) in topic.partitions.iter() {
                if !partition.replicas.contains(&this) {
                    continue;
                }
                here.replicas += 1;
                here.leaders += usize::from(partition.leader == this);
                let up = served.as_ref().is_some_and(|topic| {
                    topic.partition(*index).is_ok_and(|p| p.check_serving().is_ok())
                });
                here.offline += usize::from(!up);
            }
        }
        here
    }
}

fn write_dirs(text: &mut Text, node: &Node) {
    let dirs = node.log_dir_space();
    let labels = |name: &str, path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        Labels::new(&[(name, &path.display().to_string())])
    };
    let offline = dirs.iter().filter(|(_, space)| space.is_none()).count();
    text.single(&LOG_DIRS_OFFLINE, offline);
    text.family(&LOG_DIR_OFFLINE);
    for (path, space) in &dirs {
        text.sample("", &labels("logDirectory", path), u8::from(space.is_none()));
    }
    if offline == dirs.len() {
        return;
    }
    text.family(&LOG_DIR_BYTES);
    for (path, space) in dirs.iter().filter_map(|(path, space)| Some((path, (*space)?))) {
        text.sample("", &labels("log_directory", path), space.total);
    }
    text.family(&LOG_DIR_FREE);
    for (path, space) in dirs.iter().filter_map(|(path, space)| Some((path, (*space)?))) {
        text.sample("", &labels("log_directory", path), space.free);
    }
}
