//! What a voter's disk may not say, and what a node is refused for: rot in its metadata log, a
//! memory that is gone, snapshots that are not whole, another cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metadata::MetadataRecord;
use storage::disk::sim::SimDisk;
use storage::disk::{Access, Disk, read_file};
use tidelog_node::{Error, Node};
use wire::ErrorCode;
use wire::messages::feature_level_record::FeatureLevelRecord;
use wire::records::{BatchBuilder, BatchIter, BatchOptions};

use super::world::World;

const METADATA: &str = "/data/__cluster_metadata-0";
const LOG: &str = "/data/__cluster_metadata-0/00000000000000000000.log";

/// Three nodes with topics, and one of them, a follower, after a power failure.
fn stopped(seed: u64) -> (World, usize) {
    let mut world = World::new(3, seed);
    let leader = world.settle();
    for n in 0..6 {
        assert_eq!(world.create(leader, &format!("topic-{n}")), ErrorCode::None);
    }
    world.agree();
    // The durable point is a second old at most.
    world.run(1_500);
    let victim = (leader + 1) % 3;
    world.kill(victim);
    (world, victim)
}

fn size(disk: &SimDisk, file: &str) -> u64 {
    disk.open(Path::new(file), Access::Read).unwrap().len().unwrap()
}

fn refusal(world: &World, at: usize) -> Error {
    match world.open(at) {
        Err(error) => error,
        Ok(_) => panic!("a voter that has lost what it acknowledged must not start"),
    }
}

fn others_go_on(world: &mut World, victim: usize) {
    let leader = world.settle();
    assert_ne!(leader, victim);
    assert_eq!(world.create(leader, "more"), ErrorCode::None);
}

#[test]
fn rot_in_what_a_voter_had_synced_is_never_cut() {
    for (seed, from_end) in [(11, 5), (12, 40), (13, 300), (14, 900)] {
        let (mut world, victim) = stopped(seed);
        let disk = world.hosts[victim].disk.clone();
        let before = size(&disk, LOG);
        disk.flip(Path::new(LOG), before - from_end, 1).unwrap();
        let error = refusal(&world, victim);
        assert!(matches!(error, Error::MetadataCorrupt { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(METADATA) && said.contains("joins as a new voter"), "{said}");
        // Trying again changes nothing.
        assert_eq!(refusal(&world, victim).to_string(), said);
        assert_eq!(size(&disk, LOG), before);
        others_go_on(&mut world, victim);
    }
}

#[test]
fn a_voters_log_that_ends_too_early_is_refused() {
    let (mut world, victim) = stopped(15);
    let disk = world.hosts[victim].disk.clone();
    let file = disk.open(Path::new(LOG), Access::ReadWrite).unwrap();
    // All its batches are sound.
    let bytes = read_file(&disk, Path::new(LOG), 1 << 20).unwrap();
    let length = |at: usize| 12 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
    let second = length(0);
    file.truncate(u64::from(second)).unwrap();
    file.sync_all().unwrap();
    let error = refusal(&world, victim);
    assert!(matches!(error, Error::MetadataCut { .. }), "{error}");
    others_go_on(&mut world, victim);
}

#[test]
fn a_voter_that_has_forgotten_its_votes_does_not_vote() {
    let (mut world, victim) = stopped(16);
    let disk = world.hosts[victim].disk.clone();
    let file = Path::new(METADATA).join("quorum-state");
    let kept = read_file(&disk, &file, 1 << 20).unwrap();
    disk.remove_file(&file).unwrap();
    let error = refusal(&world, victim);
    assert!(matches!(error, Error::QuorumStateMissing(_)), "{error}");
    storage::disk::write_file_atomically(&disk, &file, &kept).unwrap();
    world.start(victim);
    world.settle();
    world.agree();
}

#[test]
fn a_garbled_file_of_the_metadata_directory_is_refused_with_its_path() {
    let (mut world, victim) = stopped(19);
    let disk = world.hosts[victim].disk.clone();
    for (file, garbage) in [
        ("/data/__cluster_metadata-0/quorum-state", &b"{\"clusterId\":"[..]),
        ("/data/__cluster_metadata-0/quorum-state", b"\xff\x00"),
        ("/data/__cluster_metadata-0/quorum-state", b""),
        ("/data/meta.properties", b"version=1\nnode.id=zero\n"),
    ] {
        let path = Path::new(file);
        let kept = read_file(&disk, path, 1 << 20).unwrap();
        storage::disk::write_file_atomically(&disk, path, garbage).unwrap();
        let said = refusal(&world, victim).to_string();
        assert!(said.contains(file), "{said}");
        storage::disk::write_file_atomically(&disk, path, &kept).unwrap();
    }
    world.start(victim);
    world.settle();
    world.agree();
}

/// The metadata log's directory alone is gone, its log directory still has its id.
#[test]
fn a_voter_whose_metadata_log_is_gone_is_a_new_one() {
    let mut world = World::new(3, 17);
    let leader = world.settle();
    world.agree();
    world.run(1_500);
    let victim = (leader + 1) % 3;
    let id_of = |world: &World| {
        let voters = &world.node(leader).control_status().voters;
        voters.iter().find(|voter| voter.id.0 == victim as i32).map(|voter| voter.directory)
    };
    let before = id_of(&world).unwrap();
    world.kill(victim);
    world.hosts[victim].disk.remove_dir_all(Path::new(METADATA)).unwrap();
    world.start(victim);
    world.settle();
    let leader_now = world.leader().unwrap();
    assert_ne!(leader_now, victim);
    world.until("another directory votes", 10_000, |world| {
        id_of(world).is_some_and(|now| now != before)
    });
    assert_eq!(world.create(victim, "more"), ErrorCode::None);
}

/// What names its cluster has been of one: without the metadata it founds no second.
#[test]
fn who_has_forgotten_its_cluster_founds_none() {
    let mut lone = World::new(1, 29);
    lone.settle();
    lone.run(1_500);
    lone.kill(0);
    lone.hosts[0].disk.remove_dir_all(Path::new(METADATA)).unwrap();
    let refused = refusal(&lone, 0).to_string();
    assert!(refused.contains("the only voter of its configuration"), "{refused}");

    let mut world = World::new(3, 30);
    let leader = world.settle();
    let id = world.node(leader).cluster_id().to_owned();
    world.agree();
    world.run(1_500);
    for at in 0..3 {
        world.kill(at);
        world.hosts[at].disk.remove_dir_all(Path::new(METADATA)).unwrap();
    }
    world.start_all();
    world.run(10_000);
    assert_eq!(world.leader(), None, "what would be a second cluster {id}");
}

/// The newest snapshot of this node.
fn snapshot(disk: &SimDisk) -> Option<PathBuf> {
    let files = disk.list(Path::new(METADATA)).unwrap();
    let mut named = files.into_iter().filter(|file| file.name.ends_with(".checkpoint"));
    named.next_back().map(|file| Path::new(METADATA).join(file.name))
}

#[test]
fn a_snapshot_that_is_bent_or_short_is_refused_by_name() {
    let (mut world, leader) = World::with_snapshots(18);
    world.agree();
    let victim = (leader + 1) % 3;
    world.kill(victim);
    let disk = world.hosts[victim].disk.clone();
    let file = snapshot(&disk).expect("a snapshot was taken");
    let whole = read_file(&disk, &file, 1 << 20).unwrap();
    let mut bent: Vec<Vec<u8>> = [20, whole.len() / 2, whole.len() - 3]
        .into_iter()
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            bytes
        })
        .collect();
    bent.extend([0, 7, whole.len() / 2, whole.len() - 1].map(|at| whole[..at].to_vec()));
    for bytes in bent {
        storage::disk::write_file_atomically(&disk, &file, &bytes).unwrap();
        let error = refusal(&world, victim);
        let named = error.to_string().contains(file.to_str().unwrap());
        assert!(matches!(error, Error::MetadataSnapshot { .. }) && named, "{error}");
    }
    storage::disk::write_file_atomically(&disk, &file, &whole).unwrap();
    world.start(victim);
    world.settle();
    world.agree();
}

/// A cluster, its id, and one of its nodes that does not lead and is switched off.
fn with_a_place(seed: u64) -> (World, String, usize) {
    let mut world = World::new(3, seed);
    let leader = world.settle();
    world.agree();
    let victim = (leader + 1) % 3;
    let id = world.node(leader).cluster_id().to_owned();
    world.kill(victim);
    (world, id, victim)
}

fn said(world: &World, at: usize) -> String {
    world.node(at).take_notices().iter().map(|notice| format!("{notice}\n")).collect()
}

#[test]
fn a_disk_of_another_cluster_ends_the_node_and_both_are_named() {
    let (mut ours, our_id, victim) = with_a_place(21);
    let mut theirs = World::off(3, 500);
    theirs.hosts.iter_mut().for_each(|host| host.cluster_id = Some("theirs".to_owned()));
    theirs.start_all();
    theirs.settle();
    theirs.agree();
    theirs.hosts.iter_mut().for_each(|host| host.node = None);
    ours.hosts[victim].disk = theirs.hosts[victim].disk.clone();
    ours.start(victim);
    ours.until("it ends", 5_000, |world| world.hosts[victim].fatal.is_some());
    let why = ours.hosts[victim].fatal.clone().unwrap();
    assert!(why.contains(&our_id) && why.contains("cluster theirs"), "{why}");
    ours.kill(victim);
    // Those whose place it took have said what they saw at most, and go on.
    assert!(ours.hosts.iter().enumerate().all(|(at, host)| at == victim || host.fatal.is_none()));
    others_go_on(&mut ours, victim);
}

#[test]
fn a_fresh_disk_with_a_wrong_cluster_id_ends_the_node() {
    let (mut world, our_id, victim) = with_a_place(23);
    world.hosts[victim].disk = SimDisk::new(77);
    world.hosts[victim].cluster_id = Some("wrong".to_owned());
    world.start(victim);
    world.until("it ends", 5_000, |world| world.hosts[victim].fatal.is_some());
    let why = world.hosts[victim].fatal.clone().unwrap();
    assert!(why.contains(&our_id) && why.contains("wrong"), "{why}");
    world.kill(victim);
    others_go_on(&mut world, victim);
}

#[test]
fn a_cluster_id_binds_no_disk_before_there_is_such_a_cluster() {
    let mut world = World::off(3, 28);
    let wrong = ["one", "two", "three"];
    for (host, id) in world.hosts.iter_mut().zip(wrong) {
        host.cluster_id = Some(id.to_owned());
    }
    world.start_all();
    world.run(5_000);
    assert_eq!(world.leader(), None, "three ids make no cluster");
    for at in 0..3 {
        assert!(!said(&world, at).is_empty(), "{at} says that the others are of another cluster");
        world.kill(at);
        world.hosts[at].cluster_id = Some("right".to_owned());
    }
    world.start_all();
    let leader = world.settle();
    world.agree();
    assert!((0..3).all(|at| world.node(at).cluster_id() == "right"));
    // Now it does, on every disk.
    for at in [leader, (leader + 1) % 3] {
        world.kill(at);
        world.hosts[at].cluster_id = Some("wrong".to_owned());
        let error = refusal(&world, at).to_string();
        assert!(error.contains("right") && error.contains("wrong"), "{error}");
        world.hosts[at].cluster_id = None;
        world.start(at);
        world.settle();
    }
}

#[test]
fn who_names_the_cluster_names_it_for_those_who_do_not() {
    let name = |world: &mut World, ids: [Option<&str>; 3]| {
        for (host, id) in world.hosts.iter_mut().zip(ids) {
            host.cluster_id = id.map(str::to_owned);
        }
    };
    for at in 0..3 {
        let mut world = World::off(3, 40 + at as u64);
        let mut ids = [None; 3];
        ids[at] = Some("ours");
        name(&mut world, ids);
        world.start_all();
        let took = world.until("formation", 2_000, |world| {
            world.hosts.iter().all(|host| host.ready) && world.leader().is_some()
        });
        println!("formed in {took} ms");
        assert!((0..3).all(|at| world.node(at).cluster_id() == "ours"));
    }
    // Nobody chooses between two names by having none.
    let mut world = World::off(3, 43);
    name(&mut world, [Some("one"), Some("two"), None]);
    world.start_all();
    world.run(5_000);
    assert_eq!(world.leader(), None);
    (0..3).for_each(|at| world.kill(at));
    name(&mut world, [Some("one"), Some("one"), None]);
    world.start_all();
    world.settle();
    assert!((0..3).all(|at| world.node(at).cluster_id() == "one"));
}

#[test]
fn one_stranger_among_the_controllers_is_told_and_harms_nobody() {
    let (mut world, our_id, victim) = with_a_place(24);
    world.hosts[victim].disk = SimDisk::new(78);
    world.hosts[victim].cluster_id = Some("wrong".to_owned());
    // Only one of the others is up: who is the stranger cannot be told.
    let up = (victim + 1) % 3;
    let down = (victim + 2) % 3;
    world.kill(down);
    world.kill(up);
    world.start(victim);
    world.start(up);
    world.run(4_000);
    assert!(world.hosts.iter().all(|host| host.fatal.is_none()));
    for at in [victim, up] {
        let said = said(&world, at);
        assert!(said.contains(&our_id) && said.contains("wrong"), "{said}");
        assert!(world.node(at).control_status().stranger.is_some());
    }
    world.kill(victim);
    world.start(down);
    others_go_on(&mut world, victim);
}

/// Appends a record to a log at rest, as a leader of its last epoch would have.
fn append_at_rest(disk: &SimDisk, record: &MetadataRecord) {
    let bytes = read_file(disk, Path::new(LOG), 1 << 20).unwrap();
    let size = bytes.len() as u64;
    let last = BatchIter::new(bytes.into()).last().unwrap().unwrap();
    let options = BatchOptions {
        base_offset: last.header().next_offset(),
        leader_epoch: last.header().partition_leader_epoch,
        ..Default::default()
    };
    let mut batch = BatchBuilder::new(options);
    let value = wire::metadata_frame::encode(record).unwrap();
    batch.append(last.header().max_timestamp, None, Some(&value), &[]);
    let batch = batch.build().unwrap();
    let file = disk.open(Path::new(LOG), Access::ReadWrite).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&batch)], size).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn a_newer_metadata_version_ends_the_nodes_by_name() {
    let mut world = World::new(3, 25);
    let leader = world.settle();
    world.agree();
    (0..3).for_each(|at| world.kill(at));
    // Two have it on their disks, and one of them leads; to the third it comes by the log.
    let newer = MetadataRecord::FeatureLevel(FeatureLevelRecord {
        name: "metadata.version".to_owned(),
        feature_level: 99,
    });
    for at in [leader, (leader + 1) % 3] {
        append_at_rest(&world.hosts[at].disk, &newer);
    }
    (0..3).for_each(|at| world.start(at));
    world.until("they end", 20_000, |world| world.hosts.iter().all(|host| host.fatal.is_some()));
    for host in &world.hosts {
        let why = host.fatal.as_ref().unwrap();
        assert!(why.contains("metadata.version 99 is not supported"), "{why}");
    }
    // Nobody has lost anything by it: this is what a binary that knows it goes on from.
    (0..3).for_each(|at| world.kill(at));
    for at in 0..3 {
        let bytes = read_file(&world.hosts[at].disk, Path::new(LOG), 1 << 20).unwrap();
        let found = BatchIter::new(bytes.into()).any(|batch| {
            let value = wire::metadata_frame::encode(&newer).unwrap();
            batch.unwrap().bytes().windows(value.len()).any(|part| part == &value[..])
        });
        assert!(found, "the log of {at} holds it");
    }
}

/// The leader's newest snapshot, and all nodes, when another node has to take that snapshot.
fn with_a_snapshot_to_take(seed: u64) -> (World, usize, usize) {
    let (mut world, leader) = World::with_a_snapshot_to_take(seed);
    world.agree();
    let wiped = (leader + 1) % 3;
    world.wipe(wiped);
    (world, leader, wiped)
}

/// Flips a bit of a file in use.
fn bend(disk: &SimDisk, path: &Path, at: u64) {
    let file = disk.open(path, Access::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&[byte[0] ^ 4])], at).unwrap();
}

#[test]
fn a_leaders_snapshot_that_is_bent_is_not_installed() {
    let (mut world, leader, wiped) = with_a_snapshot_to_take(26);
    let disk = world.hosts[leader].disk.clone();
    let file = snapshot(&disk).expect("a snapshot was taken");
    let at = size(&disk, file.to_str().unwrap()) / 2;
    bend(&disk, &file, at);
    world.start(wiped);
    world.run(3_000);
    assert!(world.hosts.iter().all(|host| host.fatal.is_none()));
    let name = file.file_name().unwrap().to_str().unwrap();
    let files = world.hosts[wiped].disk.list(Path::new(METADATA)).unwrap();
    let named = |name: &str| files.iter().any(|found| found.name == name);
    assert!(named(&format!("{name}.part")) && !named(name), "fetched and not installed: {files:?}");
    let said = said(&world, wiped);
    let of_leader = format!("as controller {leader} gives it");
    assert_eq!(said.matches(&of_leader).count(), 1, "told, and once: {said}");
    assert!(said.contains(name), "{said}");
    // The leader's next one is sound, and is taken.
    assert_eq!(world.create(leader, "meanwhile"), ErrorCode::None);
    world.settle();
    world.agree();
    assert_eq!(world.node(wiped).image().topics.len(), 61);
}

#[test]
fn a_leaders_records_that_are_bent_are_not_taken() {
    let (mut world, behind) = stopped(28);
    let leader = world.settle();
    (0..3).for_each(|n| assert_eq!(world.create(leader, &format!("new-{n}")), ErrorCode::None));
    let disk = world.hosts[leader].disk.clone();
    bend(&disk, Path::new(LOG), size(&disk, LOG) - 20);
    world.start(behind);
    world.run(3_000);
    assert!(world.hosts.iter().all(|host| host.fatal.is_none()));
    let said = said(&world, behind);
    let of_leader = format!("as controller {leader} gives it");
    assert_eq!(said.matches(&of_leader).count(), 1, "told, and once: {said}");
    assert!(said.contains("the metadata log from offset"), "{said}");
    // As it says: without that leader the other leads, whose records are sound.
    world.kill(leader);
    let next = world.settle();
    assert_ne!(next, behind, "it is behind");
    world.agree();
    assert_eq!(world.node(behind).image().topics.len(), 9);
}

#[test]
fn a_leaders_snapshot_of_another_cluster_is_refused_by_name() {
    let (mut world, leader, wiped) = with_a_snapshot_to_take(27);
    // It knows that it belongs elsewhere, and reaches none but this leader.
    let others = (0..3).filter(|at| *at != leader && *at != wiped);
    world.cut = others.map(|at| (at.min(wiped), at.max(wiped))).collect();
    world.hosts[wiped].cluster_id = Some("elsewhere".to_owned());
    world.start(wiped);
    world.run(3_000);
    let status = world.node(wiped).control_status();
    let why = status.stranger.clone().unwrap_or_default();
    assert!(why.contains("elsewhere"), "{why}");
    assert_eq!(world.node(wiped).image().topics.len(), 0, "it takes nothing of theirs");
    assert!(snapshot(&world.hosts[wiped].disk).is_none());
}

impl World {
    /// A start that may be refused.
    fn open(&self, at: usize) -> Result<Node, Error> {
        let disk: Arc<dyn Disk> = Arc::new(self.hosts[at].disk.clone());
        Node::open(self.config(at), disk, self.now, 99)
    }
}
