//! Where things stand.

use std::collections::BTreeSet;
use std::fs;

use crate::source;

/// The visible top level, exactly. The parts of later issues appear with them.
const TOP: &[&str] = &["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "broker", "tests"];
const TOP_LATER: &[&str] = &["operator", "charts", "crds"];

#[test]
fn the_top_level_is_what_it_should_be() {
    let found: BTreeSet<String> = fs::read_dir(source::root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let missing: Vec<_> = TOP.iter().filter(|name| !found.contains(**name)).collect();
    let allowed = |name: &str| TOP.contains(&name) || TOP_LATER.contains(&name);
    let extra: Vec<_> = found.iter().filter(|name| !allowed(name)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, not wanted {extra:?}");
}

#[test]
fn every_library_forbids_unsafe_code() {
    let mut wrong = Vec::new();
    for file in source::files(&["src/lib.rs", "src/main.rs"]) {
        let is_binary_beside_library = file.path.ends_with("main.rs")
            && source::root().join(file.path.replace("main.rs", "lib.rs")).exists();
        if !is_binary_beside_library && !file.text.contains("#![forbid(unsafe_code)]") {
            wrong.push(file.path);
        }
    }
    assert!(wrong.is_empty(), "no #![forbid(unsafe_code)] in {wrong:?}");
}

#[test]
fn every_crate_obeys_the_workspace_lints() {
    let mut wrong = Vec::new();
    for file in source::files(&["Cargo.toml"]) {
        let is_package = file.text.contains("[package]");
        if is_package && !file.text.contains("[lints]\nworkspace = true") {
            wrong.push(file.path);
        }
    }
    assert!(wrong.is_empty(), "no workspace lints in {wrong:?}");
}
