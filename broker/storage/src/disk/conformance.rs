//! The behaviour that every `Disk` must show. Both implementations run every check, each in an
//! empty directory of its own.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Access, Disk, DiskErrorKind, DiskFile, Operation, read_file, write_file_atomically};

type Check = fn(&dyn Disk, &Path);

const CHECKS: &[(&str, Check)] = &[
    ("access", access),
    ("bytes", bytes),
    ("vectored", vectored),
    ("lengths", lengths),
    ("names", names),
    ("directories", directories),
    ("removed_file_stays_readable", removed_file_stays_readable),
    ("locks", locks),
    ("atomic_replacement", atomic_replacement),
];

/// Runs every check, each on a disk and in an empty directory of its own.
pub(super) fn check_all(mut fresh: impl FnMut(&str) -> (Arc<dyn Disk>, PathBuf)) {
    for (name, check) in CHECKS {
        let (disk, root) = fresh(name);
        println!("{name} in {}", root.display());
        check(disk.as_ref(), &root);
    }
}

fn fails<T>(result: Result<T, super::DiskError>, kind: DiskErrorKind, operation: Operation) {
    match result {
        Ok(_) => panic!("expected {kind:?}"),
        Err(error) => assert_eq!((error.kind, error.operation), (kind, operation)),
    }
}

fn write(file: &Arc<dyn DiskFile>, bytes: &[u8], offset: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).unwrap();
}

fn content(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    read_file(disk, path, 1 << 20).unwrap()
}

fn access(disk: &dyn Disk, root: &Path) {
    let path = root.join("a");
    fails(disk.open(&path, Access::Read), DiskErrorKind::NotFound, Operation::Open);
    fails(disk.open(&path, Access::ReadWrite), DiskErrorKind::NotFound, Operation::Open);
    write(&disk.open(&path, Access::CreateNew).unwrap(), b"one", 0);
    fails(disk.open(&path, Access::CreateNew), DiskErrorKind::AlreadyExists, Operation::Open);
    assert_eq!(disk.open(&path, Access::Create).unwrap().len().unwrap(), 3);
    assert!(disk.open(&path, Access::CreateTruncate).unwrap().is_empty().unwrap());
    let reader = disk.open(&path, Access::Read).unwrap();
    assert!(reader.write_at(b"x", 0).is_err());
    assert!(reader.truncate(9).is_err());
    fails(disk.open(root, Access::Read), DiskErrorKind::WrongType, Operation::Open);
    let under_a_file = path.join("b");
    fails(disk.open(&under_a_file, Access::Create), DiskErrorKind::WrongType, Operation::Open);
    let long = root.join("x".repeat(256));
    fails(disk.open(&long, Access::Create), DiskErrorKind::NameTooLong, Operation::Open);
}

fn bytes(disk: &dyn Disk, root: &Path) {
    let path = root.join("a");
    let file = disk.open(&path, Access::Create).unwrap();
    write(&file, b"hello", 0);
    write(&file, b"world", 1000);
    let mut buf = [9; 8];
    assert_eq!(file.read_at(&mut buf, 3).unwrap(), 8);
    assert_eq!(&buf, b"lo\0\0\0\0\0\0");
    assert_eq!(file.read_at(&mut buf, 1001).unwrap(), 4);
    assert_eq!(&buf[..4], b"orld");
    assert_eq!(file.read_at(&mut buf, 1005).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, 5000).unwrap(), 0);
    fails(
        file.read_exact_at(&mut buf, 1001).map_err(|error| error.at(&path)),
        DiskErrorKind::UnexpectedEnd,
        Operation::Read,
    );
    // A second handle sees what the first wrote, synced or not.
    let other = disk.open(&path, Access::Read).unwrap();
    other.read_exact_at(&mut buf[..5], 1000).unwrap();
    assert_eq!(&buf[..5], b"world");
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.len().unwrap(), 1005);
}

fn vectored(disk: &dyn Disk, root: &Path) {
    let file = disk.open(&root.join("a"), Access::Create).unwrap();
    write(&file, b"..", 0);
    let pieces: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n % 7) * 100]).collect();
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_all_at(&slices, 2).unwrap();
    let mut expected = b"..".to_vec();
    expected.extend(pieces.concat());
    assert_eq!(content(disk, &root.join("a")), expected);
    file.write_all_at(&[], 0).unwrap();
    file.write_all_at(&[IoSlice::new(b""), IoSlice::new(b"")], 1 << 19).unwrap();
    assert_eq!(file.len().unwrap(), expected.len() as u64);
}

fn lengths(disk: &dyn Disk, root: &Path) {
    let file = disk.open(&root.join("a"), Access::Create).unwrap();
    assert!(file.is_empty().unwrap());
    file.preallocate(1 << 16).unwrap();
    assert_eq!(file.len().unwrap(), 0, "reserving space must not change the length");
    write(&file, b"0123456789", 0);
    file.truncate(4).unwrap();
    assert_eq!(content(disk, &root.join("a")), b"0123");
    file.truncate(6).unwrap();
    assert_eq!(content(disk, &root.join("a")), b"0123\0\0");
    fails(read_file(disk, &root.join("a"), 5), DiskErrorKind::TooLarge, Operation::Read);
    let space = disk.space(root).unwrap();
    assert!(space.free > 0 && space.total >= space.free, "{space:?}");
}

fn names(disk: &dyn Disk, root: &Path) {
    let (a, b) = (root.join("a"), root.join("b"));
    fails(disk.rename(&a, &b), DiskErrorKind::NotFound, Operation::Rename);
    write(&disk.open(&a, Access::Create).unwrap(), b"a", 0);
    write(&disk.open(&b, Access::Create).unwrap(), b"b", 0);
    disk.rename(&a, &b).unwrap();
    assert_eq!(content(disk, &b), b"a");
    assert!(!disk.exists(&a).unwrap());
    disk.rename(&b, &b).unwrap();
    assert!(disk.exists(&b).unwrap());
    disk.create_dir_all(&root.join("d")).unwrap();
    let elsewhere = root.join("d/b");
    fails(disk.rename(&b, &elsewhere), DiskErrorKind::AcrossDirectories, Operation::Rename);
    disk.sync_dir(root).unwrap();
    disk.remove_file(&b).unwrap();
    fails(disk.remove_file(&b), DiskErrorKind::NotFound, Operation::Remove);
    assert!(disk.remove_file(&root.join("d")).is_err());
    assert!(disk.exists(&root.join("d")).unwrap());
}

fn directories(disk: &dyn Disk, root: &Path) {
    let deep = root.join("one/two/three");
    disk.create_dir_all(&deep).unwrap();
    disk.create_dir_all(&deep).unwrap();
    disk.open(&root.join("one/zz"), Access::Create).unwrap();
    disk.open(&root.join("one/aa"), Access::Create).unwrap();
    let found: Vec<(String, bool)> = disk
        .list(&root.join("one"))
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.is_dir))
        .collect();
    let expected = [("aa".to_owned(), false), ("two".to_owned(), true), ("zz".to_owned(), false)];
    assert_eq!(found, expected);
    disk.rename(&root.join("one"), &root.join("1")).unwrap();
    assert!(disk.exists(&root.join("1/two/three")).unwrap());
    fails(disk.list(&root.join("one")), DiskErrorKind::NotFound, Operation::List);
    fails(disk.list(&root.join("1/aa")), DiskErrorKind::WrongType, Operation::List);
    disk.remove_dir_all(&root.join("1")).unwrap();
    fails(disk.remove_dir_all(&root.join("1")), DiskErrorKind::NotFound, Operation::Remove);
    fails(disk.sync_dir(&root.join("1")), DiskErrorKind::NotFound, Operation::Sync);
    assert_eq!(disk.list(root).unwrap(), []);
}

fn removed_file_stays_readable(disk: &dyn Disk, root: &Path) {
    let path = root.join("d/a");
    disk.create_dir_all(&root.join("d")).unwrap();
    let file = disk.open(&path, Access::Create).unwrap();
    write(&file, b"still here", 0);
    disk.rename(&path, &root.join("d/b")).unwrap();
    disk.remove_dir_all(&root.join("d")).unwrap();
    let mut buf = [0; 10];
    file.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"still here");
}

fn locks(disk: &dyn Disk, root: &Path) {
    let path = root.join(".lock");
    let held = disk.lock(&path).unwrap();
    fails(disk.lock(&path), DiskErrorKind::Locked, Operation::Lock);
    drop(held);
    drop(disk.lock(&path).unwrap());
    disk.lock(&path).unwrap();
}

fn atomic_replacement(disk: &dyn Disk, root: &Path) {
    let path = root.join("checkpoint");
    write_file_atomically(disk, &path, b"a longer first version").unwrap();
    write_file_atomically(disk, &path, b"second").unwrap();
    assert_eq!(content(disk, &path), b"second");
    assert_eq!(disk.list(root).unwrap().len(), 1, "no temporary file is left");
}
