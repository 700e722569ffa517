//! The logs of the partitions that the image assigns to this broker: loaded, started, or set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metadata::Image;
use storage::directory::{LoadArgs, Loaded, LogDirs, Placement, TopicPartition};
use storage::log::Log;
use wire::ids::{PartitionIndex, TopicId};

use crate::config::NodeConfig;
use crate::error::Error;
use crate::log_config::log_config;
use crate::node::Node;
use crate::notice::Notice;
use crate::partitions::TopicReplicas;
use crate::random::Random;

impl Node {
    /// Loads the logs that the image assigns to this broker and starts their partitions. Blocks on
    /// the disk. A node that is alone has done so when it opened.
    ///
    /// # Errors
    /// Why the broker cannot come up.
    pub fn load_logs(&self, now_ms: i64) -> Result<(), Error> {
        let mut applying = self.applying();
        if applying.loaded {
            return Ok(());
        }
        let image = self.image();
        let loaded = load_logs(&self.config, &self.dirs, &image, &mut applying.random, now_ms)?;
        self.start_loaded(now_ms, loaded);
        self.follow_offline_dirs();
        self.say_what_is_not_enforced();
        applying.loaded = true;
        Ok(())
    }

    fn say_what_is_not_enforced(&self) {
        let image = self.image();
        let (quotas, credentials) = (image.kept.quotas(), image.kept.credentials());
        if quotas + credentials > 0 {
            self.notices.push(Notice::NotEnforced { quotas, credentials });
        }
    }

    /// Starts the partitions of the image: those whose logs were found, then those without.
    fn start_loaded(&self, now_ms: i64, loaded: Loaded) {
        let image = self.image();
        let mut logs: BTreeMap<(TopicId, PartitionIndex), Log> = BTreeMap::new();
        let mut broken: BTreeSet<TopicPartition> = BTreeSet::new();
        let mut unused = self.config.accepted_losses.clone();
        for found in loaded.logs {
            let report = found.report;
            for lost in &report.given_up {
                unused.remove(&(found.partition.clone(), lost.lost_from));
            }
            let news = [&report.cut, &report.given_up].into_iter().any(|list| !list.is_empty());
            if news || report.corruption.is_some() {
                let partition = found.partition.clone();
                self.notices.push(Notice::Recovered { partition, report });
            }
            let end = found.log.end_offset();
            let offset = found.log.last_stable_offset(end);
            if offset < end {
                let partition = found.partition.clone();
                self.notices.push(Notice::OpenTransaction { partition, offset });
            }
            let Some(topic) = image.topics.by_name(&found.partition.topic) else { continue };
            logs.insert((topic.id, found.partition.partition), found.log);
        }
        for (partition, error) in loaded.failed {
            broken.insert(partition.clone());
            self.notices.push(Notice::NotServed { partition, error });
        }
        for (partition, offset) in unused {
            self.notices.push(Notice::NothingToAccept { partition, offset });
        }
        let strays = loaded.strays.into_iter().map(|path| Notice::Stray { path });
        let unknown = loaded.unknown.into_iter().map(|path| Notice::Unknown { path });
        strays.chain(unknown).for_each(|notice| self.notices.push(notice));
        // What an offline directory holds cannot be known: nothing is made anew in its place.
        let may_create = !self.dirs.dirs().iter().any(|dir| dir.is_offline());

        let mut topics = Vec::new();
        let mut absent: Vec<(TopicId, BTreeSet<PartitionIndex>)> = Vec::new();
        for topic in image.topics.iter() {
            let mut replicas = TopicReplicas::new(topic.id, Arc::clone(&topic.name));
            let mut without_log = BTreeSet::new();
            for (index, assigned) in topic.partitions.iter() {
                if !assigned.replicas.contains(&self.config.node_id) {
                    continue;
                }
                let Ok(slot) = usize::try_from(index.0) else { continue };
                let log = logs.remove(&(topic.id, *index));
                let running = log.and_then(|log| self.adopt(&image, topic, *index, log));
                let known = TopicPartition::new(&topic.name, *index)
                    .is_some_and(|name| broken.contains(&name));
                if running.is_none() && !known {
                    without_log.insert(*index);
                }
                replicas.set(slot, running);
            }
            topics.push(replicas);
            if !without_log.is_empty() && may_create {
                absent.push((topic.id, without_log));
            }
        }
        self.partitions.change(topics, &[]);
        for (id, without_log) in absent {
            let Some(topic) = image.topics.by_id(id) else { continue };
            let changed = self.changed_topic(now_ms, &image, topic, &without_log);
            self.partitions.change(changed.into_iter().collect(), &[]);
        }
    }
}

/// Opens the logs that the image assigns to this broker and sets the others aside.
fn load_logs(
    config: &NodeConfig,
    dirs: &LogDirs,
    image: &Image,
    random: &mut Random,
    now_ms: i64,
) -> Result<Loaded, Error> {
    let layers = config.settings.broker.layers(image, config.node_id);
    let (defaults, limits) =
        (config.settings.topic_defaults.under(&layers), config.log_limits.under(&layers));
    let place = |name: &TopicPartition, id: Option<TopicId>| {
        let topic = image.topics.by_name(&name.topic);
        let topic = topic.filter(|topic| id.is_none_or(|id| id == topic.id));
        let assigned = topic.and_then(|topic| topic.partition(name.partition));
        match assigned {
            Some(assigned) if assigned.replicas.contains(&config.node_id) => {
                let overrides = image.configs.of_topic(&name.topic);
                let resolved = defaults.resolve(overrides);
                let log = Arc::new(log_config(&resolved, &limits));
                match (id, topic) {
                    (None, Some(topic)) => Placement::Adopt(log, topic.id),
                    _ => Placement::Keep(log),
                }
            }
            _ => Placement::Stray,
        }
    };
    Ok(dirs.load(LoadArgs {
        now_ms,
        threads: config.recovery_threads,
        delete_delay_ms: config.delete_delay_ms,
        place: &place,
        accept: &config.accepted_losses,
        random: &mut || random.u128(),
    })?)
}
