//! Sessions: who is overdue, whatever clocks do.

use metadata::MetadataRecord;
use wire::ids::{BrokerId, Uuid};
use wire::messages::register_broker_record::RegisterBrokerRecord;

use super::*;

const SESSION_MS: i64 = 1_500;
const HEARTBEAT_MS: i64 = 300;

fn image(brokers: &[(i32, bool)]) -> Image {
    let record = |(broker_id, fenced): &(i32, bool)| {
        MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: *broker_id,
            incarnation_id: Uuid([7; 16]),
            fenced: *fenced,
            ..Default::default()
        })
    };
    let records: Vec<MetadataRecord> = brokers.iter().map(record).collect();
    Image::default().apply(&records).unwrap().0
}

#[test]
fn a_broker_is_overdue_when_its_session_has_passed() {
    let image = image(&[(1, false), (2, false), (3, true)]);
    let mut beats = Heartbeats::new(SESSION_MS, HEARTBEAT_MS);
    beats.begin(0, &image);
    assert!(beats.is_alive(0, BrokerId(1)), "a new controller gives a full session");
    assert!(!beats.is_alive(0, BrokerId(3)), "not to a fenced one");
    for now in (0..=1_490).step_by(10) {
        beats.contact(now, BrokerId(1), Some(5));
        assert_eq!(beats.overdue(now, &image), [], "at {now}");
    }
    beats.contact(1_490, BrokerId(1), Some(5));
    assert_eq!(beats.overdue(1_500, &image), [BrokerId(2)]);
    assert!(!beats.is_alive(1_500, BrokerId(2)));
    assert!(beats.is_alive(1_500, BrokerId(1)));
    beats.contact(1_510, BrokerId(2), Some(5));
    assert_eq!(beats.overdue(1_520, &image), []);
}

#[test]
fn a_clock_that_jumps_fences_nobody() {
    let image = image(&[(1, false), (2, false)]);
    let mut beats = Heartbeats::new(SESSION_MS, HEARTBEAT_MS);
    beats.begin(1_000_000, &image);
    for now in [1_000_010, 9_000_000, -5_000_000, -4_999_990] {
        assert_eq!(beats.overdue(now, &image), [], "at {now}");
    }
    // Time goes on from there.
    for now in (-4_999_990..-4_998_000).step_by(10) {
        beats.contact(now, BrokerId(1), None);
        beats.overdue(now, &image);
    }
    assert_eq!(beats.overdue(-4_998_000, &image), [BrokerId(2)]);
}

#[test]
fn a_broker_may_stop_when_those_that_serve_know() {
    let all = image(&[(1, false), (2, false), (3, true)]);
    let mut beats = Heartbeats::new(SESSION_MS, HEARTBEAT_MS);
    beats.begin(0, &all);
    beats.contact(1, BrokerId(1), Some(40));
    beats.contact(1, BrokerId(2), Some(90));
    assert!(!beats.all_have_seen(BrokerId(1), &all), "it is not stopping");
    beats.stopping(BrokerId(1), 101);
    beats.stopping(BrokerId(1), 150);
    assert!(!beats.all_have_seen(BrokerId(1), &all));
    beats.contact(2, BrokerId(2), Some(100));
    assert!(beats.all_have_seen(BrokerId(1), &all), "the fenced broker is not waited for");
    beats.forget(BrokerId(1));
    assert!(!beats.is_alive(2, BrokerId(1)), "its next run need not wait");
    assert!(!beats.all_have_seen(BrokerId(1), &all));
}

#[test]
fn a_silent_broker_is_looked_for_and_a_refusal_counts_once_a_session() {
    let image = image(&[(1, false), (2, false), (3, true)]);
    let mut beats = Heartbeats::new(SESSION_MS, HEARTBEAT_MS);
    beats.begin(0, &image);
    let both = [BrokerId(1), BrokerId(2)];
    assert_eq!(beats.silent_now(0, &image), both, "a new controller looks for those that serve");
    beats.contact(10, BrokerId(1), None);
    assert!(!beats.refused(20, BrokerId(1)), "it was heard of since");
    assert!(!beats.refused(20, BrokerId(3)), "nobody looked for it");
    assert_eq!(beats.silent_now(199, &image), []);
    assert!(beats.refused(199, BrokerId(2)) && !beats.is_alive(199, BrokerId(2)));
    for now in (200..=1_000).step_by(100) {
        beats.contact(now, BrokerId(1), None);
        assert_eq!(beats.silent_now(now + 50, &image), [], "who beats is left alone");
    }
    assert_eq!(beats.silent_now(1_000 + HEARTBEAT_MS + LATE_MS, &image), [BrokerId(1)]);
    // It lives after all, at an address that nobody else can use: once, and not again and again.
    beats.contact(1_420, BrokerId(2), None);
    assert_eq!(beats.silent_now(1_600, &image), [BrokerId(1)]);
    assert!(beats.silent_now(1_690, &image).is_empty());
    assert!(beats.silent_now(1_820, &image).contains(&BrokerId(2)));
    beats.contact(1_821, BrokerId(2), None);
    assert!(!beats.refused(1_830, BrokerId(2)));
    let mut again = Heartbeats::new(SESSION_MS, HEARTBEAT_MS);
    again.begin(0, &image);
    again.silent_now(0, &image);
    assert!(again.refused(1, BrokerId(2)));
    again.contact(2, BrokerId(2), None);
    assert_eq!(again.silent_now(450, &image).len(), 2);
    assert!(!again.refused(451, BrokerId(2)), "a second time within the session");
    for now in (451..=1_501).step_by(350) {
        again.silent_now(now, &image);
    }
    assert!(again.refused(1_501, BrokerId(2)), "a session later");
}
