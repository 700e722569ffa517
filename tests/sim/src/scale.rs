//! Scale: real controllers, and very many brokers that do nothing but what a controller sees of a
//! broker: they register, send heartbeats and fetch the metadata log.
//!
//! What a controller is asked comes in bytes, and is answered in bytes, as over a network; the
//! processor time of a controller is that of reading, deciding and writing these, without the
//! sockets. The brokers' own time is not counted.
//!
//! As a test it is small, and judges what happens. `TIDELOG_SIM_SCALE=1000,100000,300,1500`
//! (brokers, partitions, heartbeat interval, session time-out) prints what it costs:
//! `tests/run bench --case scale`.

mod broker;
mod costs;
mod story;
mod world;

use self::story::{Scale, run};

/// What the test runs; large enough that every broker has several partitions.
const SMALL: Scale = Scale { brokers: 30, partitions: 600, heartbeat_ms: 300, session_ms: 1_500 };

#[test]
fn a_cluster_of_many_brokers() {
    let Ok(asked) = std::env::var("TIDELOG_SIM_SCALE") else { return run(&SMALL) };
    let numbers: Vec<i64> = asked.split(',').map(|number| number.parse().unwrap()).collect();
    let [brokers, partitions, heartbeat_ms, session_ms] = numbers[..] else { panic!("{asked}") };
    let (brokers, partitions) = (brokers as usize, partitions as usize);
    run(&Scale { brokers, partitions, heartbeat_ms, session_ms });
}
