//! Tests of the configuration as a whole.

use super::*;

#[test]
fn the_defaults_are_a_configuration() {
    let loaded = load(&Layers::default()).unwrap();
    assert_eq!(loaded.settings.log.segment_bytes, 1 << 30);
}
