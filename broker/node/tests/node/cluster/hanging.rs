//! A disk that holds up what is written to it.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use replication::{Acks, Partition};
use std::io::IoSlice;
use storage::disk::sim::SimDisk;
use storage::disk::{Access, DirEntry, Disk, DiskError, DiskFile, DiskLock, Space};
use wire::ids::{BrokerId, LeaderEpoch};

use super::world::World;
use crate::common::{NOW, batch};

/// Writes to what has this in its path wait while the gate is closed.
const HELD: &str = "held-topic";

/// Whether the disk goes on.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Writes that have come to it.
    came: u64,
}

impl Gate {
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().unwrap().closed
    }

    fn set(&self, closed: bool) {
        *self.state.lock().unwrap() = State { closed, came: 0 };
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.came += 1;
        self.moved.notify_all();
        drop(self.moved.wait_while(state, |state| state.closed).unwrap());
    }

    /// Until a write stands before it.
    fn wait_for_a_write(&self) {
        let (state, patience) = (self.state.lock().unwrap(), Duration::from_secs(20));
        let none = |state: &mut State| state.came == 0;
        let (_state, waited) = self.moved.wait_timeout_while(state, patience, none).unwrap();
        assert!(!waited.timed_out(), "no write came");
    }
}

/// A simulated disk behind a gate.
#[derive(Debug)]
pub(crate) struct HangingDisk {
    pub(crate) disk: SimDisk,
    pub(crate) gate: Arc<Gate>,
}

#[derive(Debug)]
struct HangingFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl Disk for HangingDisk {
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = self.disk.open(path, access)?;
        if !path.to_string_lossy().contains(HELD) {
            return Ok(file);
        }
        Ok(Arc::new(HangingFile { file, gate: Arc::clone(&self.gate) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.disk.list(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.create_dir_all(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.sync_dir(path)
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.disk.space(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        self.disk.lock(path)
    }
}

impl DiskFile for HangingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, DiskError> {
        self.gate.pass();
        self.file.write_at(buf, offset)
    }

    fn write_all_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<(), DiskError> {
        self.gate.pass();
        self.file.write_all_at(pieces, offset)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.len()
    }

    fn truncate(&self, len: u64) -> Result<(), DiskError> {
        self.file.truncate(len)
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        self.file.preallocate(len)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.file.sync_all()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

/// A partition of the topic whose writes can be held up, and the host that leads it.
fn led_by(world: &World, at: usize) -> Arc<Partition> {
    let image = world.node(at).image();
    let topic = image.topics.by_name(HELD).unwrap();
    let leads = |broker: BrokerId| usize::try_from(broker.0) == Ok(at);
    let (index, _) = topic.partitions.iter().find(|(_, p)| leads(p.leader)).unwrap();
    world.node(at).partition(topic.id, *index).unwrap()
}

fn serves(world: &World, seen_by: usize, at: usize) -> bool {
    let image = world.node(seen_by).image();
    image.brokers.get(BrokerId(at as i32)).is_some_and(|broker| broker.is_active())
}

#[test]
fn a_broker_whose_disk_hangs_is_told_to_be_gone_and_comes_back() {
    let mut world = World::new(3, 40);
    let controller = world.settle();
    let at = (controller + 1) % 3;
    assert_eq!(world.create(controller, HELD), wire::ErrorCode::None);
    world.agree();
    let partition = led_by(&world, at);
    let gate = Arc::clone(&world.hosts[at].gate);
    gate.set(true);
    let writer = {
        let partition = Arc::clone(&partition);
        let append =
            move || partition.append(NOW, batch(&["x"], None), Acks::Leader, LeaderEpoch(-1));
        std::thread::spawn(append)
    };
    gate.wait_for_a_write();
    assert!(partition.append_under_way().is_some());
    world.run(4_900);
    assert!(serves(&world, controller, at), "it may go on yet");
    let took = world.until("it is fenced", 3_000, |world| !serves(world, controller, at));
    println!("fenced {} ms after it hung", took + 4_900);
    assert_eq!(world.leader(), Some(controller), "nothing else happens");
    gate.set(false);
    let produced = writer.join().unwrap().unwrap();
    assert_eq!(produced.first_offset, wire::ids::Offset(0), "and it was not lost");
    world.until("it serves again", 2_000, |world| serves(world, controller, at));
    world.agree();
}
