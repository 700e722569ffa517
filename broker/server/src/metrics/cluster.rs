//! This broker and the cluster: what a dashboard shows first.

use std::path::Path;

use node::{Node, QuorumState, Role};
use wire::ids::BrokerId;

use super::catalog::{
    ACTIVE_BROKERS, ACTIVE_CONTROLLER, AT_MIN_ISR, BROKER_STATE, FENCED_BROKERS, FETCH_SESSIONS,
    GLOBAL_PARTITIONS, GLOBAL_TOPICS, ISR_EXPANDS, ISR_SHRINKS, LEADERS, LOG_DIR_BYTES,
    LOG_DIR_FREE, LOG_DIR_OFFLINE, LOG_DIRS_OFFLINE, NOT_PREFERRED, OFFLINE_PARTITIONS,
    OFFLINE_REPLICAS, PARTITIONS, QUORUM_EPOCH, QUORUM_HIGH_WATERMARK, QUORUM_LEADER,
    QUORUM_LOG_END, QUORUM_OBSERVERS, QUORUM_ROLE, QUORUM_VOTERS, UNDER_MIN_ISR, UNDER_REPLICATED,
};
use super::text::{Labels, Text};

/// Kafka's numbers for the states of a broker.
const STARTING: u8 = 1;
const RUNNING: u8 = 3;
const STOPPING: u8 = 6;

/// Writes what the image and the directories say.
pub(crate) fn write(text: &mut Text, node: &Node, quorum: Option<QuorumState>, stopping: bool) {
    let image = node.image();
    let this = node.node_id();
    let counts = node.partition_counts();
    let taken_in = image.brokers.get(this).is_some_and(|broker| !broker.fenced);
    text.single(
        &BROKER_STATE,
        match taken_in {
            _ if stopping => STOPPING,
            true => RUNNING,
            false => STARTING,
        },
    );
    let fenced = image.brokers.iter().filter(|broker| broker.fenced).count();
    text.single(&ACTIVE_BROKERS, image.brokers.len() - fenced);
    text.single(&FENCED_BROKERS, fenced);
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
    let (shrinks, expands) = node.isr_changes();
    text.single(&ISR_SHRINKS, shrinks);
    text.single(&ISR_EXPANDS, expands);
    if let Some(quorum) = quorum {
        text.single(&ACTIVE_CONTROLLER, u8::from(quorum.role == Role::Leader));
        write_quorum(text, &quorum);
    }
    text.single(&FETCH_SESSIONS, node.fetch_sessions().len());
    write_dirs(text, node);
}

fn write_quorum(text: &mut Text, quorum: &QuorumState) {
    let role = match quorum.role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Prospective => "prospective",
        Role::Candidate => "candidate",
        Role::Resigned => "resigned",
        Role::Unattached | Role::Stopped => "unattached",
    };
    text.family(&QUORUM_ROLE);
    text.sample("", &Labels::new(&[("current_state", role)]), 1u8);
    text.single(&QUORUM_LEADER, quorum.leader.map_or(-1, |leader| leader.0));
    text.single(&QUORUM_EPOCH, quorum.epoch.0);
    text.single(&QUORUM_HIGH_WATERMARK, quorum.high_watermark.0);
    text.single(&QUORUM_LOG_END, quorum.log_end.0);
    text.single(&QUORUM_VOTERS, quorum.voters);
    text.single(&QUORUM_OBSERVERS, quorum.observers);
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
                    topic.partition(*index).is_ok_and(|partition| partition.takes_writes())
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
