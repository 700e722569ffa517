//! Keeps a misbehaving peer from filling the log: a few lines per period, then a count of what was
//! left out.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Lines per period.
const LINES_MAX: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// Put behind a line: says how many like it were left out.
#[derive(Debug)]
pub(crate) struct LeftOut(u64);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} similar lines were left out)"),
        }
    }
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { began: None, lines: 0, left_out: 0 }))
    }

    /// `Some` when the line may be written.
    pub(crate) fn allow(&self) -> Option<LeftOut> {
        self.allow_at(Instant::now())
    }

    fn allow_at(&self, now: Instant) -> Option<LeftOut> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            state.began = Some(now);
            state.lines = 0;
        }
        if state.lines >= LINES_MAX {
            state.left_out += 1;
            return None;
        }
        state.lines += 1;
        Some(LeftOut(std::mem::take(&mut state.left_out)))
    }
}

/// What was said last of one state of affairs: it is said again when it has changed.
#[derive(Debug)]
pub(crate) struct SaidOnce(Mutex<Option<String>>);

impl SaidOnce {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether this was not what was said last; it is now.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = last.as_deref() != Some(what);
        if news {
            *last = Some(what.to_owned());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_the_same_is_said_once() {
        let said = SaidOnce::new();
        let news = ["no broker", "no broker", "no room", "no broker"].map(|why| said.is_news(why));
        assert_eq!(news, [true, false, true, true]);
    }

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let limit = LogLimit::new();
        let start = Instant::now();
        for _ in 0..LINES_MAX {
            assert!(limit.allow_at(start).is_some());
        }
        assert!(limit.allow_at(start).is_none());
        let next = limit.allow_at(start + PERIOD).unwrap();
        assert_eq!(next.to_string(), " (1 similar lines were left out)");
    }
}
