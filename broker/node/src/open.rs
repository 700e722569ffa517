//! How a node comes up: directories, metadata log, registration (`register`), logs (`open_logs`).

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use quorum::{Bootstrap, ReplicaKey, Voters};
use replication::fetch_session::SessionCache;
use storage::directory::{DirectoryName, LogDir, LogDirs, TopicPartition};
use storage::disk::Disk;
use wire::ids::{PartitionIndex, Uuid};

use crate::config::NodeConfig;
use crate::control::{Applying, Plane, PlaneArgs};
use crate::error::Error;
use crate::groups::Groups;
use crate::metadata_log::{DIRECTORY, MetadataLog, QUORUM_STATE};
use crate::node::Node;
use crate::notice::{Notice, Notices};
use crate::partitions::Partitions;
use crate::random::Random;
use crate::register::{enrolment, register, registrar};

/// The disk as found: its directories, and whose they are.
struct Disks {
    dirs: Arc<LogDirs>,
    /// Holds the lock on `metadata.log.dir` when that is not one of `log.dirs`.
    metadata_dirs: Option<LogDirs>,
    /// The cluster that they belong to; unknown to a fresh node of several.
    formed_id: Option<String>,
    metadata_dir: Arc<LogDir>,
    metadata_dir_id: Uuid,
    /// Whether the metadata log's directory had an id when it was found.
    was_formatted: bool,
    /// Whether it has belonged to a cluster whose metadata it no longer has.
    forgot: bool,
}

impl Disks {
    /// The cluster that this node takes part in, or shall.
    fn cluster_id<'a>(&'a self, config: &'a NodeConfig) -> Option<&'a String> {
        self.formed_id.as_ref().or(config.cluster_id.as_ref())
    }
}

impl Node {
    /// Opens the log directories (formatting fresh ones) and the metadata log. A node that is alone
    /// also registers itself and starts its partitions; one of several does so as its control plane
    /// is driven. Blocks on the disk.
    ///
    /// # Errors
    /// Why the node cannot come up; the message is for the operator.
    pub fn open(
        config: NodeConfig,
        disk: Arc<dyn Disk>,
        now_ms: i64,
        seed: u64,
    ) -> Result<Self, Error> {
        let (mut random, notices) = (Random::new(seed), Notices::default());
        let disks = find_disks(&config, &disk, &mut random)?;
        let quorum = quorum_config(&config, &disks, &mut random);
        let dir = &disks.metadata_dir;
        let (log, report) = MetadataLog::open(Arc::clone(&disk), dir, quorum, now_ms)?;
        if !report.cut.is_empty()
            && let Some(partition) = TopicPartition::new("__cluster_metadata", PartitionIndex(0))
        {
            notices.push(Notice::Recovered { partition, report });
        }
        let sessions = SessionCache::new(config.fetch_session_slots, random.next());
        let groups = Groups::new(config.groups.clone(), Random::new(random.next()));
        let applying = Applying { random: Random::new(random.next()), loaded: false };
        let dirs = Arc::clone(&disks.dirs);
        let mut plane = Plane::new(PlaneArgs {
            registrar: registrar(&config, &dirs, &mut random),
            enrolment: enrolment(&config, &mut random),
            dirs: Arc::clone(&dirs),
            random,
            log,
            settings: config.settings.clone(),
            config: config.quorum.clone(),
            own: ReplicaKey { id: config.node_id, directory: disks.metadata_dir_id },
            cluster_id: disks.cluster_id(&config).cloned(),
        });
        let broker_epoch = match disks.formed_id.as_deref().filter(|_| config.quorum.is_alone()) {
            Some(cluster_id) => {
                plane.start_alone(now_ms)?;
                register(&config, &dirs, cluster_id, &mut plane)?
            }
            None => -1,
        };
        plane.begin_applied();
        let (image, image_end) = (plane.image().clone(), plane.applied());
        let node = Self {
            cluster_id: disks.formed_id.map(OnceLock::from).unwrap_or_default(),
            broker_epoch: AtomicI64::new(broker_epoch),
            image: ArcSwap::from_pointee(image),
            image_end: AtomicI64::new(image_end.0),
            partitions: Partitions::default(),
            plane: Mutex::new(plane),
            status: ArcSwap::default(),
            applying: Mutex::new(applying),
            producer_ids: Mutex::default(),
            sessions,
            groups,
            dirs,
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
        node.show_status(&node.plane());
        if node.config.quorum.is_alone() {
            node.load_logs(now_ms)?;
        }
        Ok(node)
    }
}

/// What is there, ready for a start.
fn find_disks(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    random: &mut Random,
) -> Result<Disks, Error> {
    let mut disks = open_dirs(config, disk, random)?;
    forget_old_voter(config, disk, &mut disks, random)?;
    Ok(disks)
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
    let mut formed_id = known;
    if config.quorum.is_alone() && formed_id.is_none() {
        let new = config.cluster_id.clone().unwrap_or_else(|| random.uuid().to_string());
        formed_id = Some(new);
    }
    // A fresh node of several learns it from the metadata log: what the configuration says binds
    // the disk once there is such a cluster, so that it can be corrected until then.
    let name = formed_id.as_deref().unwrap_or_default();
    let holder = metadata_dirs.as_ref().unwrap_or(&dirs);
    let fresh = |dir: &&Arc<LogDir>| dir.id().is_none() && !dir.is_offline();
    let is_metadata_dir = |dir: &&Arc<LogDir>| dir.path() == metadata_dir;
    if let Some(cluster) = dirs.cluster_id()
        && holder.dirs().iter().filter(is_metadata_dir).any(|dir| fresh(&dir))
    {
        return Err(Error::MetadataDirEmpty { path: metadata_dir, cluster });
    }
    let found = holder.dirs().iter().find(is_metadata_dir);
    let was_formatted = found.is_some_and(|dir| dir.id().is_some());
    // The metadata log's directory first: one that is fresh beside others that are not is refused.
    if let Some(metadata_dirs) = &metadata_dirs {
        metadata_dirs.format(name, &mut || random.u128())?;
    }
    dirs.format(name, &mut || random.u128())?;
    let dir = holder.dirs().iter().find(|dir| dir.path() == metadata_dir).cloned();
    let with_id = dir.filter(|dir| !dir.is_offline()).and_then(|dir| Some((dir.id()?, dir)));
    let (metadata_dir_id, metadata_dir) =
        with_id.ok_or_else(|| Error::MetadataDirOffline(metadata_dir.join(DIRECTORY)))?;
    let dirs = Arc::new(dirs);
    Ok(Disks {
        dirs,
        metadata_dirs,
        formed_id,
        metadata_dir,
        metadata_dir_id,
        was_formatted,
        forgot: false,
    })
}

/// A voter whose metadata log is gone has forgotten what it voted and what it acknowledged: it is
/// another voter from now on, with a directory id of its own.
fn forget_old_voter(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    disks: &mut Disks,
    random: &mut Random,
) -> Result<(), Error> {
    let is_gone = !has_metadata_log(disk, disks)?;
    if is_gone && disks.was_formatted && !config.quorum.is_alone() {
        disks.forgot = disks.formed_id.is_some();
        if let Some(cluster) = disks.formed_id.as_ref().filter(|_| is_only_voter(config)) {
            let expected = disks.metadata_dir.path().join(DIRECTORY);
            return Err(Error::OnlyVoterForgot { expected, cluster: cluster.clone() });
        }
        disks.metadata_dir_id = random.uuid();
        disks.metadata_dir.renew_id(disks.metadata_dir_id)?;
    }
    Ok(())
}

/// Whether there is one. Refuses to form a new cluster over data: partitions without a metadata log
/// mean that it is lost or lies elsewhere, and every one of them would be set aside.
fn has_metadata_log(disk: &Arc<dyn Disk>, disks: &Disks) -> Result<bool, Error> {
    let expected = disks.metadata_dir.path().join(DIRECTORY);
    let is_log = |name: &str| {
        name.ends_with(".log") || name.ends_with(".checkpoint") || name == QUORUM_STATE
    };
    if disk.exists(&expected)? && disk.list(&expected)?.iter().any(|file| is_log(&file.name)) {
        return Ok(true);
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
    Ok(false)
}

/// The only voter waits for nobody: there are no other voters' disks to learn. One of several that
/// has forgotten its cluster takes no part in the founding of another.
fn bootstrap(config: &NodeConfig, disks: &Disks, own: &quorum::Config) -> quorum::Bootstrap {
    match &config.quorum.bootstrap {
        Bootstrap::Static(_) if is_only_voter(config) => {
            Bootstrap::Voters(Voters::new(vec![own.voter()]))
        }
        Bootstrap::Static(_) if disks.forgot => Bootstrap::Join,
        other => other.clone(),
    }
}

fn is_only_voter(config: &NodeConfig) -> bool {
    let own = |voter: &quorum::Voter| voter.id == config.node_id;
    matches!(&config.quorum.bootstrap, Bootstrap::Static(voters) if voters.iter().all(own))
}

/// What the quorum must know.
fn quorum_config(config: &NodeConfig, disks: &Disks, random: &mut Random) -> quorum::Config {
    let mut quorum = quorum::Config::new(config.node_id, disks.metadata_dir_id);
    quorum.snapshot_bytes = config.metadata_snapshot_bytes;
    quorum.snapshot_interval_ms = config.metadata_snapshot_interval_ms;
    if !config.quorum.is_alone() {
        quorum.endpoints.clone_from(&config.quorum.endpoints);
        quorum.cluster_id = disks.cluster_id(config).cloned();
        quorum.bootstrap = bootstrap(config, disks, &quorum);
        quorum.auto_join = config.quorum.auto_join;
        quorum.seed = random.next();
        quorum.fetch_timeout_ms = config.quorum.fetch_timeout_ms;
        quorum.election_timeout_ms = config.quorum.election_timeout_ms;
        quorum.election_backoff_max_ms = config.quorum.election_backoff_max_ms;
        quorum.request_timeout_ms = config.quorum.request_timeout_ms;
        quorum.retry_backoff_ms = config.quorum.retry_backoff_ms;
        quorum.fetch_bytes = config.quorum.fetch_bytes;
    }
    quorum
}
