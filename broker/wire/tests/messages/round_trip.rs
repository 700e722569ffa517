//! Every message at every version comes back from its own bytes as it went in.

use crate::support::{Random, cases, seed};

#[test]
fn every_message_and_version_round_trips() {
    let mut random = Random::new(seed());
    let mut versions = 0;
    for case in cases() {
        for (version, bytes) in case.samples(&mut random, 15) {
            let again = (case.recode)(bytes.clone(), version).unwrap().unwrap();
            assert_eq!(again, bytes, "{} version {version}", case.name);
        }
        versions += case.versions.count();
    }
    assert!(versions > 200, "only {versions} versions");
}

#[test]
fn versions_outside_the_table_are_refused() {
    for case in cases() {
        for version in [case.versions.start() - 1, case.versions.end() + 1] {
            assert!((case.recode)(bytes::Bytes::new(), version).is_err(), "{}", case.name);
            assert!((case.default)(version).is_err(), "{}", case.name);
        }
    }
}
