//! Searching an index that is partly in memory and partly in its file.

use proptest::prelude::*;

use super::super::offset::OffsetEntry;
use super::super::time::TimeEntry;
use super::*;
use crate::disk::sim::SimDisk;

fn entry(at: u32) -> OffsetEntry {
    OffsetEntry { relative: at * 10, position: at * 100 + 1 }
}

#[test]
fn golden_bytes() {
    let bytes = OffsetEntry { relative: 0x0102_0304, position: 0x0a0b_0c0d }.encode();
    assert_eq!(bytes, [1, 2, 3, 4, 10, 11, 12, 13]);
    let bytes = TimeEntry { timestamp: 0x0102_0304_0506_0708, relative: 9 }.encode();
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
    assert_eq!(TimeEntry::decode(bytes).relative, 9);
}

#[test]
fn entries_that_do_not_follow_are_not_taken() {
    let mut index = SparseIndex::empty();
    assert!(index.push(entry(3)));
    assert!(!index.push(entry(3)));
    assert!(!index.push(OffsetEntry { relative: 99, position: 5 }));
    assert_eq!(index.entries(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_search_finds_what_a_list_would(
        count in 0_u32..1500,
        spill_at in proptest::collection::vec(0_u32..1500, 0..4),
        wanted in proptest::collection::vec(0_u32..16_000, 1..20),
    ) {
        let disk = SimDisk::new(1);
        let path = Path::new("/index");
        let mut index = SparseIndex::empty();
        for at in 0..count {
            index.push(entry(at));
            if spill_at.contains(&at) {
                index.spill(&disk, path).unwrap();
            }
        }
        let check = |index: &SparseIndex<OffsetEntry>| {
            for wanted in &wanted {
                let found = index.search(&disk, path, |e| e.relative <= *wanted).unwrap();
                let expect = (0..count).map(entry).take_while(|e| e.relative <= *wanted).last();
                assert_eq!(found, expect);
            }
        };
        check(&index);
        index.spill(&disk, path).unwrap();
        let loaded = SparseIndex::load(&disk, path).unwrap().unwrap();
        prop_assert_eq!(loaded.entries(), count);
        prop_assert_eq!(loaded.last(), index.last());
        check(&loaded);
    }
}

#[test]
fn what_is_no_index_is_not_loaded() {
    let disk = SimDisk::new(1);
    let path = Path::new("/index");
    assert!(SparseIndex::<OffsetEntry>::load(&disk, path).unwrap().is_none());
    let file = disk.open(path, Access::Create).unwrap();
    file.write_all_at(&[IoSlice::new(&[1; 12])], 0).unwrap();
    assert!(SparseIndex::<OffsetEntry>::load(&disk, path).unwrap().is_none());
    file.write_all_at(&[IoSlice::new(&[0; 16])], 0).unwrap();
    assert!(SparseIndex::<OffsetEntry>::load(&disk, path).unwrap().is_none());
}
