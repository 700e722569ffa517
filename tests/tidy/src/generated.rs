//! Generated files are what their generator makes today.

use tidelog_wire_gen::{generate, stale, wire_dir};

#[test]
fn wire_messages_are_fresh() {
    let fresh = generate(&wire_dir()).unwrap();
    let stale = stale(&wire_dir(), &fresh).unwrap();
    assert!(stale.is_empty(), "run `cargo run -p tidelog-wire-gen`: {stale:#?}");
}
