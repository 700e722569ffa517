//! The fault model of the simulator: what a crash may and may not lose, and planned failures.

use std::collections::BTreeSet;

use super::*;
use crate::disk::{read_file, write_file_atomically};

const SEEDS: u64 = 200;

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn file(disk: &SimDisk) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new("/d/f"), Access::Create).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

fn write(file: &Arc<dyn DiskFile>, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
    file.write_all_at(&[IoSlice::new(bytes)], offset)
}

fn content(disk: &SimDisk) -> Vec<u8> {
    read_file(disk, Path::new("/d/f"), 1 << 20).unwrap()
}

#[test]
fn sim_disk_conforms() {
    let mut seed = 0;
    crate::disk::conformance::check_all(|_| {
        seed += 1;
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.set_short_writes(true);
        (Arc::new(disk), PathBuf::from("/data"))
    });
}

#[test]
fn synced_bytes_survive_and_the_rest_is_torn_at_sectors() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = disk(seed);
        let file = file(&disk);
        write(&file, &[1; 1000], 0).unwrap();
        file.sync_data().unwrap();
        write(&file, &[2; 2000], 1000).unwrap();
        disk.crash();
        let after = content(&disk);
        assert_eq!(after[..1000], [1; 1000], "seed {seed}");
        let mut shape = vec![after.len() as u64 / 512];
        for sector in after[1000..].chunk_by(|a, b| a == b) {
            assert!(sector[0] == 0 || sector[0] == 2, "seed {seed}");
            shape.push(sector.len() as u64 * 10 + u64::from(sector[0]));
        }
        outcomes.insert(shape);
    }
    assert!(outcomes.len() > 20, "only {} different crashes", outcomes.len());
    assert!(outcomes.contains(&vec![1]), "losing everything must be possible");
    assert!(outcomes.contains(&vec![5, 20002]), "losing nothing must be possible");
    assert!(outcomes.iter().any(|shape| shape.len() > 3), "holes must be possible");
}

#[test]
fn names_not_synced_may_be_lost_and_in_order() {
    let mut kept = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = disk(seed);
        for name in ["a", "b", "c"] {
            let file = disk.open(&Path::new("/d").join(name), Access::Create).unwrap();
            file.sync_all().unwrap();
        }
        disk.rename(Path::new("/d/a"), Path::new("/d/z")).unwrap();
        disk.crash();
        let names = disk.list(Path::new("/d")).unwrap();
        kept.insert(names.into_iter().map(|entry| entry.name).collect::<String>());
    }
    let expected = ["", "a", "ab", "abc", "bcz"].map(str::to_owned);
    assert_eq!(kept, BTreeSet::from(expected));
}

#[test]
fn truncation_not_synced_may_be_undone() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = disk(seed);
        let file = file(&disk);
        write(&file, &[1; 2048], 0).unwrap();
        file.sync_data().unwrap();
        file.truncate(100).unwrap();
        disk.crash();
        lengths.insert(content(&disk).len());
    }
    assert_eq!(lengths, BTreeSet::from([100, 2048]));
}

#[test]
fn a_failed_sync_marks_pages_clean() {
    for seed in 0..SEEDS {
        let disk = disk(seed);
        let file = file(&disk);
        disk.inject(Fault::nth(Operation::Sync, 1));
        write(&file, &[1; 512], 0).unwrap();
        assert_eq!(file.sync_data().unwrap_err().kind, Fault::EIO);
        assert_eq!(content(&disk), [1; 512]);
        write(&file, &[2; 512], 512).unwrap();
        file.sync_data().unwrap();
        disk.crash();
        assert_eq!(content(&disk), [vec![0; 512], vec![2; 512]].concat(), "seed {seed}");
    }
}

#[test]
fn a_full_disk_writes_short_then_fails_and_heals() {
    let disk = disk(1);
    let file = file(&disk);
    disk.set_capacity(Some(1000));
    assert_eq!(file.write_at(&[1; 600], 0).unwrap(), 600);
    assert_eq!(file.write_at(&[1; 600], 600).unwrap(), 400);
    assert_eq!(file.write_at(&[1; 600], 1000).unwrap_err().kind, DiskErrorKind::NoSpace);
    assert_eq!(file.write_at(&[2; 600], 300).unwrap(), 600, "overwriting needs no space");
    assert_eq!(disk.space(Path::new("/")).unwrap().free, 0);
    let error = disk.open(Path::new("/d/g"), Access::Create).unwrap_err();
    assert!(error.heals());
    file.truncate(100).unwrap();
    write(&file, &[3; 900], 100).unwrap();
    // A removed file gives its space back with its last handle.
    disk.remove_file(Path::new("/d/f")).unwrap();
    assert_eq!(disk.used(), 1000);
    drop(file);
    assert_eq!(disk.used(), 0);
}

#[test]
fn the_nth_call_fails_and_only_there() {
    let disk = disk(1);
    let file = file(&disk);
    disk.inject(Fault::nth(Operation::Write, 3));
    disk.inject(Fault::always(Operation::Read, "/d/f"));
    assert!(write(&file, b"1", 0).is_ok());
    assert!(write(&file, b"2", 1).is_ok());
    assert!(write(&file, b"3", 2).is_err());
    assert!(write(&file, b"4", 2).is_ok());
    assert!(file.read_at(&mut [0], 0).is_err());
    disk.clear_faults();
    assert_eq!(content(&disk), b"124");
}

#[test]
fn a_planned_stop_kills_handles_until_power_is_back() {
    let disk = disk(1);
    let file = file(&disk);
    let _lock = disk.lock(Path::new("/d/.lock")).unwrap();
    disk.crash_after(2);
    write(&file, b"1", 0).unwrap();
    assert_eq!(write(&file, b"2", 1).unwrap_err().kind, DiskErrorKind::Crashed);
    assert!(disk.is_down());
    assert_eq!(disk.list(Path::new("/d")).unwrap_err().kind, DiskErrorKind::Crashed);
    disk.crash();
    assert_eq!(file.len().unwrap_err().kind, DiskErrorKind::Crashed, "a handle of before");
    disk.lock(Path::new("/d/.lock")).unwrap();
    content(&disk);
}

#[test]
fn an_atomic_replacement_is_old_or_new_whatever_the_crash() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = disk(seed);
        let path = Path::new("/d/f");
        write_file_atomically(&disk, path, &[1; 700]).unwrap();
        disk.crash_after(1 + seed % 6);
        let done = write_file_atomically(&disk, path, &[2; 900]).is_ok();
        disk.crash();
        let after = content(&disk);
        assert!(after == [1; 700] || after == [2; 900], "seed {seed}");
        assert!(!done || after == [2; 900], "seed {seed}: acknowledged and lost");
        seen.insert(after.len());
    }
    assert_eq!(seen, BTreeSet::from([700, 900]));
}

#[test]
fn one_seed_is_one_history() {
    let run = |seed| {
        let disk = disk(seed);
        disk.set_short_writes(true);
        let file = file(&disk);
        write(&file, &[7; 9000], 0).unwrap();
        let calls = disk.calls();
        disk.crash();
        (calls, content(&disk))
    };
    assert_eq!(run(5), run(5));
    assert!((0..10).any(|seed| run(seed) != run(5)));
}
