//! From the image to the partitions that run here: what the metadata assigns to this broker is
//! started, what it takes away is stopped, what it changes is passed on.
//!
//! Runs on the controller's thread, under its lock: one change at a time. A new topic's logs exist
//! before the image shows the topic; a deleted topic has left the image before its logs go, unless
//! its successor of the same name comes at once and needs their directories.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use metadata::image::{Resource, ResourceKind, Topic};
use metadata::topic_config::Defaults;
use metadata::{Delta, Image, TopicChange};
use replication::partition::{Identity, Leadership};
use replication::{Partition, partition};
use storage::LogConfig;
use storage::directory::{DirectoryError, NewPartition, TopicPartition};
use storage::log::Log;
use wire::ids::{PartitionIndex, TopicId, Uuid};

use crate::groups::OFFSETS_TOPIC;
use crate::log_config::{LogLimits, log_config};
use crate::node::Node;
use crate::notice::Notice;
use crate::partitions::TopicReplicas;

/// What a topic's configuration means to its partitions.
pub(crate) struct TopicSettings {
    pub(crate) log: Arc<LogConfig>,
    pub(crate) min_insync_replicas: usize,
}

/// What the broker's own keys mean to its logs.
#[derive(PartialEq)]
struct Standards {
    defaults: Defaults,
    limits: LogLimits,
}

impl Standards {
    fn of_topic(&self, image: &Image, name: &str) -> TopicSettings {
        let resolved = self.defaults.resolve(image.configs.of_topic(name));
        let min_insync = resolved.int("min.insync.replicas", 1);
        TopicSettings {
            log: Arc::new(log_config(&resolved, &self.limits)),
            min_insync_replicas: usize::try_from(min_insync).unwrap_or(1),
        }
    }
}

impl Node {
    /// What holds for a topic under this image.
    pub(crate) fn topic_settings(&self, image: &Image, name: &str) -> TopicSettings {
        self.standards(image).of_topic(image, name)
    }

    /// What holds for every topic that does not say otherwise.
    fn standards(&self, image: &Image) -> Standards {
        let settings = &self.config.settings;
        let layers = settings.broker.layers(image, settings.node_id);
        let limits = self.config.log_limits.under(&layers);
        Standards { defaults: settings.topic_defaults.under(&layers), limits }
    }

    /// Starts and changes what `next` has and the image before it had not, or had otherwise.
    pub(crate) fn start_changed(&self, now_ms: i64, next: &Image, delta: &Delta) {
        self.isr_changes.count(self.config.node_id, &self.image(), next, delta);
        let mut changed = Vec::new();
        for (id, change) in &delta.topics {
            let TopicChange::Changed { partitions, .. } = change else { continue };
            let Some(topic) = next.topics.by_id(*id) else { continue };
            changed.extend(self.changed_topic(now_ms, next, topic, partitions));
        }
        self.partitions.change(changed, &[]);
        self.reconfigure(next, &delta.configs);
    }

    /// Stops what deleted topics of these names had and gives the names. `random` names the
    /// directories until their bytes go.
    pub(crate) fn stop_deleted(
        &self,
        now_ms: i64,
        delta: &Delta,
        which: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut() -> u128,
    ) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (id, change) in &delta.topics {
            let TopicChange::Deleted { before } = change else { continue };
            let id = *id;
            if !which(&before.name) {
                continue;
            }
            names.insert(before.name.to_string());
            let Some(topic) = self.partitions.by_id(id) else { continue };
            {
                // At no moment is the traffic counted twice, or not at all.
                let mut departed = self.departed();
                self.partitions.change(Vec::new(), &[id]);
                topic.iter().for_each(|partition| *departed += partition.traffic());
            }
            self.missing().retain(|(missing, _)| *missing != id);
            for index in before.partitions.keys() {
                let Some(name) = TopicPartition::new(&topic.name, *index) else { continue };
                let served = topic.partition(*index).ok();
                if let Some(partition) = served {
                    partition.retire();
                } else if self.dirs.dir_of(&name).is_none() {
                    continue;
                }
                // A log that did not open goes with its topic.
                let delay_ms = served.map_or(self.config.delete_delay_ms, |partition| {
                    partition.file_delete_delay_ms()
                });
                let unique = Uuid::from_random(random());
                if let Err(error) = self.dirs.delete_partition(&name, unique, now_ms, delay_ms) {
                    self.notices.push(Notice::NotRemoved { partition: name, error });
                    self.follow_offline_dirs();
                }
            }
        }
        names
    }

    /// Tries again to make the logs that could not be made, for want of space for instance.
    /// Returns how many are still missing. Blocks on the disk.
    pub fn retry_missing(&self, now_ms: i64) -> usize {
        if self.missing().is_empty() {
            return 0;
        }
        // Topics stay as they are meanwhile.
        let _applying = self.applying();
        let image = self.image();
        let missing = std::mem::take(&mut *self.missing());
        for (id, index) in missing {
            let Some(topic) = image.topics.by_id(id) else { continue };
            let again = BTreeSet::from([index]);
            let changed = self.changed_topic(now_ms, &image, topic, &again);
            self.partitions.change(changed.into_iter().collect(), &[]);
        }
        self.missing().len()
    }

    /// A partition out of a log that was found at the start.
    pub(crate) fn adopt(
        &self,
        image: &Image,
        topic: &Topic,
        index: PartitionIndex,
        log: Log,
    ) -> Option<Arc<Partition>> {
        let settings = self.topic_settings(image, &topic.name);
        let leadership = self.leadership(topic, index, &settings)?;
        if *topic.name == *OFFSETS_TOPIC {
            self.groups.note_arrival();
        }
        let identity = Identity { topic_id: topic.id, topic: Arc::clone(&topic.name), index };
        Some(Partition::new(identity, log, leadership))
    }

    /// The topic's replicas after a change; `None` when none of them is ours.
    pub(crate) fn changed_topic(
        &self,
        now_ms: i64,
        image: &Image,
        topic: &Topic,
        touched: &BTreeSet<PartitionIndex>,
    ) -> Option<TopicReplicas> {
        let settings = self.topic_settings(image, &topic.name);
        if settings.log.cleanup.compact && !topic.is_internal() {
            let topic = topic.name.to_string();
            self.notices.push(Notice::CompactionMissing { topic });
        }
        let before = self.partitions.by_id(topic.id);
        let mut replicas = match &before {
            Some(before) => before.copy(),
            None => TopicReplicas::new(topic.id, Arc::clone(&topic.name)),
        };
        let mut new = Vec::new();
        for index in touched {
            let Some(leadership) = self.leadership(topic, *index, &settings) else { continue };
            match replicas.partition(*index) {
                Ok(running) => self.take_over(running, leadership),
                Err(_) => new.push((*index, leadership)),
            }
        }
        for (index, made) in self.make_partitions(now_ms, topic, &settings, new) {
            if let Ok(slot) = usize::try_from(index.0) {
                replicas.set(slot, made);
            }
        }
        Some(replicas)
    }

    /// A partition that runs hears of its leadership; its groups come and go with that.
    fn take_over(&self, running: &Arc<Partition>, leadership: Leadership) {
        let led = running.leads();
        // Offline partitions have nothing to take over.
        let _ = running.lead(leadership);
        if led != running.leads() && **running.topic() == *OFFSETS_TOPIC {
            self.leadership_moved((running.topic_id(), running.index()));
        }
    }

    fn make_partitions(
        &self,
        now_ms: i64,
        topic: &Topic,
        settings: &TopicSettings,
        new: Vec<(PartitionIndex, Leadership)>,
    ) -> Vec<(PartitionIndex, Option<Arc<Partition>>)> {
        let named = |index: PartitionIndex| {
            TopicPartition::new(&topic.name, index).map(|partition| NewPartition {
                partition,
                topic_id: topic.id,
                config: Arc::clone(&settings.log),
            })
        };
        let wanted: Vec<NewPartition> = new.iter().filter_map(|(index, _)| named(*index)).collect();
        let made = self.dirs.create_partitions(&wanted, now_ms);
        let all = new.into_iter().zip(wanted).zip(made);
        all.map(|(((index, leadership), wanted), made)| {
            let partition = match made {
                Ok((log, _dir)) => {
                    let name = Arc::clone(&topic.name);
                    let identity = Identity { topic_id: topic.id, topic: name, index };
                    Some(Partition::new(identity, log, leadership))
                }
                Err(error) => {
                    self.not_made(topic.id, wanted.partition, error);
                    None
                }
            };
            (index, partition)
        })
        .collect()
    }

    fn not_made(&self, id: TopicId, partition: TopicPartition, error: DirectoryError) {
        // One that exists but did not open stays as it is: an operator has to look.
        if !matches!(error, DirectoryError::Exists { .. }) {
            self.missing().insert((id, partition.partition));
        }
        self.notices.push(Notice::NotServed { partition, error });
        self.follow_offline_dirs();
    }

    /// What this broker is to a partition; `None` when it is not a replica.
    fn leadership(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        settings: &TopicSettings,
    ) -> Option<Leadership> {
        let assigned = topic.partition(index)?;
        if !assigned.replicas.contains(&self.config.node_id) {
            return None;
        }
        Some(Leadership {
            broker: self.config.node_id,
            leads: assigned.leader == self.config.node_id,
            epoch: assigned.leader_epoch,
            isr: assigned.isr.clone(),
            min_insync_replicas: settings.min_insync_replicas,
        })
    }

    /// Puts what is set on topics and brokers in force; a broker's keys are the defaults of all
    /// topics.
    fn reconfigure(&self, next: &Image, resources: &BTreeSet<Resource>) {
        if resources.is_empty() {
            return;
        }
        let standards = self.standards(next);
        if standards != self.standards(&self.image()) {
            next.topics.iter().for_each(|topic| self.reconfigure_topic(next, topic, &standards));
            return;
        }
        for resource in resources.iter().filter(|one| one.kind == ResourceKind::Topic) {
            let Some(topic) = next.topics.by_name(&resource.name) else { continue };
            self.reconfigure_topic(next, topic, &standards);
        }
    }

    fn reconfigure_topic(&self, next: &Image, topic: &Topic, standards: &Standards) {
        let Some(replicas) = self.partitions.by_id(topic.id) else { return };
        let settings = standards.of_topic(next, &topic.name);
        for partition in replicas.iter() {
            // An offline partition takes the configuration over when it is opened again.
            let _ = partition.update_config(Arc::clone(&settings.log));
            if let Some(leadership) = self.leadership(topic, partition.index(), &settings) {
                let _ = partition.lead(leadership);
            }
        }
    }

    /// Takes the partitions of directories that went offline out of service, and says so once.
    pub(crate) fn follow_offline_dirs(&self) {
        for dir in self.dirs.dirs().iter().filter(|dir| dir.is_offline()) {
            let path = dir.path().to_path_buf();
            let mut known = self.offline_dirs.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.insert(path.clone()) {
                continue;
            }
            drop(known);
            if let Some(reason) = dir.offline_reason().cloned() {
                self.notices.push(Notice::DirectoryOffline { path, reason });
            }
            for name in self.dirs.partitions_in(dir) {
                let topic = self.partitions.by_name(&name.topic);
                let Some(topic) = topic else { continue };
                if let Ok(partition) = topic.partition(name.partition) {
                    partition.go_offline();
                }
            }
        }
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, BTreeSet<(TopicId, PartitionIndex)>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The partition as the log directories know it.
pub(crate) fn name_of(partition: &partition::Partition) -> Option<TopicPartition> {
    TopicPartition::new(partition.topic(), partition.index())
}
