//! The clocks of one connection: idle, a request that arrives too slowly, a response that is not
//! read.
//!
//! One timer per connection, re-armed only when it fires or when a connection wakes from idleness:
//! a busy connection pays for a timer a few times a second at most, not per request.

use std::time::Duration;

use tokio::time::Instant;

use crate::serve_config::SocketConfig;

/// While a connection is active its clocks are looked at this often.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A connection without traffic for this long gives its buffer back.
const BUFFER_IDLE: Duration = Duration::from_secs(2);
/// While memory is short, a request that holds some must get on within this time.
const STALL_MAX: Duration = Duration::from_secs(5);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing; look again then.
    Nothing(Instant),
    /// The buffer may go; look again then.
    ReleaseBuffer(Instant),
    /// The connection has been idle for too long.
    Idle,
    /// A request began to arrive and did not finish in time.
    SlowRequest,
    /// The peer does not read its responses.
    SlowReader,
}

/// What a connection is doing, as far as its clocks care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) mid_frame: bool,
    pub(crate) unsent: bool,
    pub(crate) in_flight: bool,
    pub(crate) holds_memory: bool,
    /// It holds memory that others wait for, and could read on.
    pub(crate) blocks_others: bool,
}

/// When things last happened.
#[derive(Debug)]
pub(crate) struct Deadlines {
    idle_max: Duration,
    slow_read_max: Duration,
    slow_write_max: Duration,
    last_traffic: Instant,
    frame_began: Option<Instant>,
    /// When bytes came last, or could not be read because of the broker.
    last_progress: Instant,
    last_sent: Instant,
}

impl Deadlines {
    pub(crate) fn new(config: &SocketConfig, now: Instant) -> Self {
        Self {
            idle_max: config.idle_max,
            // A part of a request does not make a connection live longer than none.
            slow_read_max: config.slow_read_max.min(config.idle_max),
            slow_write_max: config.slow_write_max,
            last_traffic: now,
            frame_began: None,
            last_progress: now,
            last_sent: now,
        }
    }

    /// Bytes came; `mid_frame` = a request is still incomplete, `completed` = one or more were
    /// completed.
    pub(crate) fn received(&mut self, now: Instant, mid_frame: bool, completed: bool) {
        self.last_traffic = now;
        self.last_progress = now;
        if !mid_frame {
            self.frame_began = None;
        } else if completed || self.frame_began.is_none() {
            self.frame_began = Some(now);
        }
    }

    /// The broker itself held the request up until now.
    pub(crate) fn paused(&mut self, now: Instant) {
        self.frame_began = self.frame_began.map(|_| now);
        self.last_progress = now;
    }

    /// Bytes left, or there was nothing to send.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.last_traffic = now;
        self.last_sent = now;
    }

    /// Judges the clocks at `now`.
    pub(crate) fn check(&self, now: Instant, activity: Activity) -> Due {
        if activity.unsent && now >= self.last_sent + self.slow_write_max {
            return Due::SlowReader;
        }
        if let Some(began) = self.frame_began.filter(|_| activity.mid_frame)
            && now >= began + self.slow_read_max
        {
            return Due::SlowRequest;
        }
        let stalled = now >= self.last_progress + STALL_MAX;
        if activity.mid_frame && activity.blocks_others && stalled {
            return Due::SlowRequest;
        }
        if activity.unsent || activity.mid_frame {
            return Due::Nothing(now + CHECK_INTERVAL);
        }
        let idle_at = self.last_traffic + self.idle_max;
        if now >= idle_at && !activity.in_flight {
            return Due::Idle;
        }
        if activity.holds_memory {
            let release_at = self.last_traffic + BUFFER_IDLE;
            if now >= release_at {
                return Due::ReleaseBuffer(idle_at.max(now + CHECK_INTERVAL));
            }
            return Due::Nothing(release_at.min(idle_at).max(now + CHECK_INTERVAL));
        }
        Due::Nothing(idle_at.max(now + CHECK_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Activity = Activity {
        mid_frame: false,
        unsent: false,
        in_flight: false,
        holds_memory: false,
        blocks_others: false,
    };

    fn deadlines(now: Instant) -> Deadlines {
        Deadlines::new(&SocketConfig::default(), now)
    }

    #[tokio::test]
    async fn an_idle_connection_first_loses_its_buffer_then_itself() {
        let start = Instant::now();
        let clocks = deadlines(start);
        let held = Activity { holds_memory: true, ..QUIET };
        let soon = start + Duration::from_millis(1);
        assert_eq!(clocks.check(soon, held), Due::Nothing(start + BUFFER_IDLE));
        let later = start + BUFFER_IDLE;
        assert_eq!(clocks.check(later, held), Due::ReleaseBuffer(start + Duration::from_secs(600)));
        assert_eq!(clocks.check(start + Duration::from_secs(600), QUIET), Due::Idle);
    }

    #[tokio::test]
    async fn a_parked_request_keeps_its_connection() {
        let start = Instant::now();
        let parked = Activity { in_flight: true, ..QUIET };
        let due = deadlines(start).check(start + Duration::from_secs(700), parked);
        assert!(matches!(due, Due::Nothing(_)), "{due:?}");
    }

    #[tokio::test]
    async fn trickling_bytes_do_not_move_the_deadline_of_a_request() {
        let start = Instant::now();
        let mut clocks = deadlines(start);
        let mid = Activity { mid_frame: true, ..QUIET };
        clocks.received(start, true, false);
        clocks.received(start + Duration::from_secs(29), true, false);
        assert!(matches!(clocks.check(start + Duration::from_secs(29), mid), Due::Nothing(_)));
        assert_eq!(clocks.check(start + Duration::from_secs(30), mid), Due::SlowRequest);
        // A peer whose requests complete is not slow, however many it pipelines.
        clocks.received(start + Duration::from_secs(29), true, true);
        assert!(matches!(clocks.check(start + Duration::from_secs(40), mid), Due::Nothing(_)));
    }

    #[tokio::test]
    async fn a_stalled_request_goes_soon_while_memory_is_short() {
        let start = Instant::now();
        let mut clocks = deadlines(start);
        let mid = Activity { mid_frame: true, holds_memory: true, ..QUIET };
        let blocking = Activity { blocks_others: true, ..mid };
        clocks.received(start, true, false);
        let later = start + STALL_MAX;
        assert!(matches!(clocks.check(later, mid), Due::Nothing(_)));
        assert_eq!(clocks.check(later, blocking), Due::SlowRequest);
        clocks.received(later, true, false);
        assert!(matches!(clocks.check(later, blocking), Due::Nothing(_)), "it gets on");
    }

    #[tokio::test]
    async fn part_of_a_request_does_not_outlive_the_idle_limit() {
        let start = Instant::now();
        let idle_max = Duration::from_secs(3);
        let config = SocketConfig { idle_max, ..SocketConfig::default() };
        let mut clocks = Deadlines::new(&config, start);
        clocks.received(start, true, false);
        let mid = Activity { mid_frame: true, ..QUIET };
        assert_eq!(clocks.check(start + idle_max, mid), Due::SlowRequest);
    }

    #[tokio::test]
    async fn a_peer_that_stops_reading_is_due() {
        let start = Instant::now();
        let unsent = Activity { unsent: true, ..QUIET };
        let due = deadlines(start).check(start + Duration::from_secs(30), unsent);
        assert_eq!(due, Due::SlowReader);
    }
}
