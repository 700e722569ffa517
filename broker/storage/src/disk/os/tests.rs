//! The kernel's files do what every disk must do.

use std::sync::Arc;

use super::OsDisk;
use crate::disk::conformance::check_all;

#[test]
fn os_disk_conforms() {
    let base = std::env::temp_dir().join(format!("tidelog-disk-{}", std::process::id()));
    check_all(|name| {
        let root = base.join(name);
        std::fs::create_dir_all(&root).unwrap();
        (Arc::new(OsDisk), root)
    });
    std::fs::remove_dir_all(&base).unwrap();
}
