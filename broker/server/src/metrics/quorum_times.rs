//! How long elections and commits of the metadata quorum take, and how many records come by.
//!
//! What Kafka measures over its last samples: two windows of half a minute, the older of which is
//! given up when a new one begins. Time is handed in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use node::{QuorumMarks, Role};
use wire::ids::Offset;

use super::catalog::{
    APPEND_RATE, COMMIT_LATENCY_AVG, COMMIT_LATENCY_MAX, ELECTION_LATENCY_AVG,
    ELECTION_LATENCY_MAX, FETCH_RATE,
};
use super::text::Text;

/// How long a window takes samples.
const WINDOW: Duration = Duration::from_secs(30);
/// Appends whose commit is waited for; what comes after them is not measured.
const APPENDS_MAX: usize = 10_000;

/// What is measured of the quorum.
#[derive(Debug, Default)]
pub(crate) struct QuorumTimes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<QuorumMarks>,
    /// Since when this node has sought to be elected.
    electing_since: Option<Duration>,
    /// What this node has appended as the leader: its end, and when.
    appended: VecDeque<(Offset, Duration)>,
    elections: Windows,
    commits: Windows,
    appends: Windows,
    fetches: Windows,
}

/// The window that takes samples, and the one before it.
#[derive(Debug, Default)]
struct Windows {
    now: Window,
    before: Option<Window>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    since: Duration,
    samples: u32,
    sum: f64,
    max: f64,
}

impl QuorumTimes {
    /// The quorum after a step that began at `began` and ended at `ended`.
    pub(crate) fn note(&self, began: Duration, ended: Duration, marks: QuorumMarks) {
        let mut state = self.held();
        let before = state.last.replace(marks).map_or(Offset(0), |last| last.log_end);
        match (marks.role, marks.leader) {
            (_, Some(_)) => {
                if let Some(since) = state.electing_since.take() {
                    state.elections.add(ended, millis(ended.saturating_sub(since)));
                }
            }
            (Role::Prospective | Role::Candidate, None) => {
                state.electing_since.get_or_insert(began);
            }
            _ => {}
        }
        let came = u32::try_from(marks.log_end.0.saturating_sub(before.0)).unwrap_or(0);
        if marks.role != Role::Leader {
            state.appended.clear();
            if came > 0 {
                state.fetches.add(ended, f64::from(came));
            }
            return;
        }
        if came > 0 {
            state.appends.add(ended, f64::from(came));
            if state.appended.len() < APPENDS_MAX {
                state.appended.push_back((marks.log_end, began));
            }
        }
        let committed = |(end, _): &mut (Offset, Duration)| *end <= marks.high_watermark;
        while let Some((_, since)) = state.appended.pop_front_if(committed) {
            state.commits.add(ended, millis(ended.saturating_sub(since)));
        }
    }

    /// Writes what was measured; NaN where nothing was, as in Kafka.
    pub(crate) fn write(&self, text: &mut Text, now: Duration) {
        let state = self.held();
        let (average, most) = state.elections.average_and_max(now);
        text.single(&ELECTION_LATENCY_AVG, average);
        text.single(&ELECTION_LATENCY_MAX, most);
        let (average, most) = state.commits.average_and_max(now);
        text.single(&COMMIT_LATENCY_AVG, average);
        text.single(&COMMIT_LATENCY_MAX, most);
        text.single(&APPEND_RATE, state.appends.rate(now));
        text.single(&FETCH_RATE, state.fetches.rate(now));
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    fn add(&mut self, now: Duration, value: f64) {
        if now.saturating_sub(self.now.since) >= WINDOW {
            let ended =
                std::mem::replace(&mut self.now, Window { since: now, ..Window::default() });
            self.before = (ended.samples > 0).then_some(ended);
        }
        let window = &mut self.now;
        window.samples = window.samples.saturating_add(1);
        window.sum += value;
        window.max = window.max.max(value);
    }

    /// The windows that count at the moment.
    fn recent(&self, now: Duration) -> impl Iterator<Item = &Window> {
        let recent = move |window: &&Window| now.saturating_sub(window.since) < 2 * WINDOW;
        [Some(&self.now), self.before.as_ref()].into_iter().flatten().filter(recent)
    }

    fn average_and_max(&self, now: Duration) -> (f64, f64) {
        let samples: u32 = self.recent(now).map(|window| window.samples).sum();
        if samples == 0 {
            return (f64::NAN, f64::NAN);
        }
        let sum: f64 = self.recent(now).map(|window| window.sum).sum();
        (sum / f64::from(samples), self.recent(now).map(|window| window.max).fold(0.0, f64::max))
    }

    /// How much came in a second, over half a minute at least.
    fn rate(&self, now: Duration) -> f64 {
        let since = self.recent(now).map(|window| window.since).min().unwrap_or(now);
        let sum: f64 = self.recent(now).map(|window| window.sum).sum();
        sum / now.saturating_sub(since).max(WINDOW).as_secs_f64()
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use wire::ids::BrokerId;

    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn marks(role: Role, log_end: i64, high_watermark: i64) -> QuorumMarks {
        let leader = match role {
            Role::Leader => Some(BrokerId(1)),
            Role::Follower => Some(BrokerId(2)),
            _ => None,
        };
        QuorumMarks {
            role,
            leader,
            log_end: Offset(log_end),
            high_watermark: Offset(high_watermark),
        }
    }

    #[test]
    fn elections_and_commits_are_timed_and_records_counted() {
        let times = QuorumTimes::default();
        assert!(times.held().elections.average_and_max(at(0)).0.is_nan());
        times.note(at(0), at(0), marks(Role::Unattached, 0, 0));
        times.note(at(100), at(101), marks(Role::Prospective, 0, 0));
        times.note(at(110), at(110), marks(Role::Candidate, 0, 0));
        times.note(at(130), at(140), marks(Role::Leader, 1, 0));
        assert_eq!(times.held().elections.average_and_max(at(200)), (40.0, 40.0));
        times.note(at(150), at(151), marks(Role::Leader, 3, 0));
        assert!(times.held().commits.average_and_max(at(200)).0.is_nan(), "none is committed");
        times.note(at(160), at(160), marks(Role::Leader, 3, 1));
        times.note(at(170), at(170), marks(Role::Leader, 3, 3));
        assert_eq!(times.held().commits.average_and_max(at(200)), (25.0, 30.0));
        assert_eq!(times.held().appends.rate(at(1_000)), 3.0 / 30.0);
        // Another leads: what is fetched is not appended, nor is its commit waited for here.
        times.note(at(180), at(180), marks(Role::Follower, 9, 3));
        times.note(at(190), at(190), marks(Role::Follower, 9, 9));
        assert_eq!(times.held().fetches.rate(at(1_000)), 6.0 / 30.0);
        assert_eq!(times.held().commits.average_and_max(at(200)), (25.0, 30.0));
        // What is old counts no more.
        assert!(times.held().commits.average_and_max(at(70_000)).0.is_nan());
        assert_eq!(times.held().appends.rate(at(70_000)), 0.0);
    }
}
