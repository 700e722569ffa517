//! How a node comes up: directories, metadata log, registration, logs, partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use metadata::Image;
use metadata::control::{Decision, brokers, features};
use replication::fetch_session::SessionCache;
use storage::directory::{
    DirectoryName, LoadArgs, Loaded, LogDir, LogDirs, Placement, TopicPartition,
};
use storage::disk::Disk;
use storage::log::Log;
use wire::ids::{PartitionIndex, TopicId, Uuid};

use crate::config::NodeConfig;
use crate::controller::Controller;
use crate::error::Error;
use crate::groups::Groups;
use crate::log_config::log_config;
use crate::metadata_log::{DIRECTORY, MetadataLog};
use crate::node::Node;
use crate::notice::{Notice, Notices};
use crate::partitions::{Partitions, TopicReplicas};
use crate::random::Random;

/// The disk as found: its directories, and whose they are.
struct Disks {
    dirs: LogDirs,
    /// Holds the lock on `metadata.log.dir` when that is not one of `log.dirs`.
    metadata_dirs: Option<LogDirs>,
    cluster_id: String,
    metadata_dir: Arc<LogDir>,
    metadata_dir_id: Uuid,
}

impl Node {
    /// Opens the log directories (formatting fresh ones), replays the metadata log, registers this
    /// broker and starts its partitions. Blocks on the disk.
    ///
    /// # Errors
    /// Why the node cannot come up; the message is for the operator.
    pub fn open(
        config: NodeConfig,
        disk: Arc<dyn Disk>,
        now_ms: i64,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut random = Random::new(seed);
        let notices = Notices::default();
        let disks = open_dirs(&config, &disk, &mut random)?;
        require_metadata_log(&disk, &disks)?;
        let mut quorum = quorum::Config::new(config.node_id, disks.metadata_dir_id);
        quorum.snapshot_bytes = config.metadata_snapshot_bytes;
        quorum.snapshot_interval_ms = config.metadata_snapshot_interval_ms;
        let (log, mut image, report) =
            MetadataLog::open(Arc::clone(&disk), &disks.metadata_dir, quorum, now_ms)?;
        if !report.cut.is_empty()
            && let Some(partition) = TopicPartition::new("__cluster_metadata", PartitionIndex(0))
        {
            notices.push(Notice::Recovered { partition, report });
        }
        let (quotas, credentials) = (image.kept.quotas(), image.kept.credentials());
        if quotas + credentials > 0 {
            notices.push(Notice::NotEnforced { quotas, credentials });
        }
        let sessions = SessionCache::new(config.fetch_session_slots, random.next());
        let groups = Groups::new(config.groups.clone(), Random::new(random.next()));
        let mut controller = Controller::new(log, random);
        let broker_epoch = register(&config, &disks, &mut controller, &mut image, now_ms)?;
        let loaded = load_logs(&config, &disks.dirs, &image, &mut controller, now_ms)?;
        let node = Self {
            cluster_id: disks.cluster_id,
            broker_epoch,
            image: ArcSwap::from_pointee(image),
            partitions: Partitions::default(),
            controller: Mutex::new(controller),
            producer_ids: Mutex::default(),
            sessions,
            groups,
            dirs: disks.dirs,
            metadata_dirs: disks.metadata_dirs,
            metadata_dir: disks.metadata_dir,
            disk,
            offline_dirs: Mutex::default(),
            corrupt: Mutex::default(),
            missing: Mutex::default(),
            deletions: Mutex::default(),
            departed: Mutex::default(),
            isr_changes: Default::default(),
            notices,
            config,
        };
        node.start_loaded(now_ms, loaded);
        node.follow_offline_dirs();
        Ok(node)
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

/// Locks and, where they are fresh, formats the directories.
fn open_dirs(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    random: &mut Random,
) -> Result<Disks, Error> {
    let wanted = config.cluster_id.as_deref();
    let open = |paths: &[PathBuf], wanted: Option<&str>| {
        LogDirs::open(Arc::clone(disk), paths, config.node_id, wanted)
    };
    let dirs = open(&config.log_dirs, wanted)?;
    let metadata_dir = config.metadata_log_dir.clone().or(config.log_dirs.first().cloned());
    let metadata_dir = metadata_dir.unwrap_or_default();
    let stored = dirs.cluster_id();
    let mut metadata_dirs = None;
    if !config.log_dirs.contains(&metadata_dir) {
        let paths = [metadata_dir.clone()];
        metadata_dirs = Some(open(&paths, stored.as_deref().or(wanted))?);
    }
    let known = stored.or_else(|| metadata_dirs.as_ref().and_then(LogDirs::cluster_id));
    let cluster_id =
        known.or_else(|| config.cluster_id.clone()).unwrap_or_else(|| random.uuid().to_string());
    let holder = metadata_dirs.as_ref().unwrap_or(&dirs);
    let fresh = |dir: &&Arc<LogDir>| dir.id().is_none() && !dir.is_offline();
    let is_metadata_dir = |dir: &&Arc<LogDir>| dir.path() == metadata_dir;
    if let Some(cluster) = dirs.cluster_id()
        && holder.dirs().iter().filter(is_metadata_dir).any(|dir| fresh(&dir))
    {
        return Err(Error::MetadataDirEmpty { path: metadata_dir, cluster });
    }
    // The metadata log's directory first: one that is fresh beside others that are not is refused.
    if let Some(metadata_dirs) = &metadata_dirs {
        metadata_dirs.format(&cluster_id, &mut || random.u128())?;
    }
    dirs.format(&cluster_id, &mut || random.u128())?;
    let dir = holder.dirs().iter().find(|dir| dir.path() == metadata_dir).cloned();
    let with_id = dir.filter(|dir| !dir.is_offline()).and_then(|dir| Some((dir.id()?, dir)));
    let (metadata_dir_id, metadata_dir) =
        with_id.ok_or_else(|| Error::MetadataDirOffline(metadata_dir.join(DIRECTORY)))?;
    Ok(Disks { dirs, metadata_dirs, cluster_id, metadata_dir, metadata_dir_id })
}

/// Refuses to form a new cluster over data: partitions without a metadata log mean that it is lost
/// or lies elsewhere, and every one of them would be set aside.
fn require_metadata_log(disk: &Arc<dyn Disk>, disks: &Disks) -> Result<(), Error> {
    let expected = disks.metadata_dir.path().join(DIRECTORY);
    let is_log = |name: &str| name.ends_with(".log") || name.ends_with(".checkpoint");
    if disk.exists(&expected)? && disk.list(&expected)?.iter().any(|file| is_log(&file.name)) {
        return Ok(());
    }
    for dir in disks.dirs.dirs().iter().filter(|dir| !dir.is_offline()) {
        let entries = disk.list(dir.path())?.into_iter().filter(|entry| entry.is_dir);
        let mut partitions = entries
            .filter(|entry| {
                matches!(DirectoryName::parse(&entry.name), DirectoryName::Partition(_))
            })
            .map(|entry| dir.path().join(entry.name));
        // A first start that was cut short leaves the metadata log's own directory, empty.
        if let Some(found) = partitions.find(|path| *path != expected) {
            return Err(Error::MetadataLogMissing { expected, found });
        }
    }
    Ok(())
}

/// Bootstraps a fresh cluster, registers this broker and unfences it; gives its epoch.
fn register(
    config: &NodeConfig,
    disks: &Disks,
    controller: &mut Controller,
    image: &mut Image,
    now_ms: i64,
) -> Result<i64, Error> {
    if let Some(log) = image.cluster_id().filter(|id| *id != disks.cluster_id) {
        let directories = disks.cluster_id.clone();
        return Err(Error::TwoClusters { directories, log: log.to_owned() });
    }
    if image.kept.access_control_entries() > 0 {
        return Err(Error::AccessControl(image.kept.access_control_entries()));
    }
    let settings = &config.settings;
    controller.decide_alone(now_ms, settings, image, |ctx, _| Decision {
        records: features::abandoned_transaction(ctx.image),
        response: (),
    })?;
    controller.decide_alone(now_ms, settings, image, |ctx, _| Decision {
        records: features::bootstrap(ctx.image, &disks.cluster_id),
        response: (),
    })?;
    let log_dirs = registered_dirs(config, &disks.dirs, image)?;
    // A start is a new run, also where the same randomness comes again.
    let former = image.brokers.get(config.node_id).map(|broker| broker.incarnation);
    let mut incarnation = controller.random.uuid();
    while former == Some(incarnation) {
        incarnation = controller.random.uuid();
    }
    let registration = brokers::Registration {
        id: config.node_id,
        incarnation,
        cluster_id: Some(disks.cluster_id.clone()),
        endpoints: config.endpoints.clone(),
        features: brokers::Registration::own_features(),
        rack: config.rack.clone(),
        log_dirs,
        previous_epoch: -1,
    };
    let epoch = controller.decide_alone(now_ms, settings, image, |ctx, next_offset| {
        // One broker, alone on its disks: no other run can be alive.
        brokers::register_broker(ctx.image, &registration, next_offset, false)
    })??;
    controller.decide_alone(now_ms, settings, image, |ctx, _| {
        brokers::unfence_broker(ctx.image, config.node_id, epoch)
    })??;
    Ok(epoch)
}

/// The ids to register: those that are here, and those of directories that are offline.
///
/// A directory that is neither (its disk is not mounted, say) stops the start: its partitions would
/// be made anew, empty, and lead.
fn registered_dirs(config: &NodeConfig, dirs: &LogDirs, image: &Image) -> Result<Vec<Uuid>, Error> {
    let mut ids: Vec<Uuid> = dirs.dirs().iter().filter_map(|dir| dir.id()).collect();
    let before = image.brokers.get(config.node_id).map_or(&[][..], |broker| &broker.log_dirs);
    let absent = before.iter().filter(|id| !config.abandoned_log_dirs.contains(id));
    let absent: Vec<Uuid> = absent.filter(|id| !ids.contains(id)).copied().collect();
    let offline = dirs.dirs().iter().filter(|dir| dir.id().is_none()).count();
    if absent.len() > offline {
        return Err(Error::LogDirsMissing(absent));
    }
    ids.extend(absent);
    Ok(ids)
}

/// Opens the logs that the image assigns to this broker and sets the others aside.
fn load_logs(
    config: &NodeConfig,
    dirs: &LogDirs,
    image: &Image,
    controller: &mut Controller,
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
    let random = &mut controller.random;
    Ok(dirs.load(LoadArgs {
        now_ms,
        threads: config.recovery_threads,
        delete_delay_ms: config.delete_delay_ms,
        place: &place,
        accept: &config.accepted_losses,
        random: &mut || random.u128(),
    })?)
}
