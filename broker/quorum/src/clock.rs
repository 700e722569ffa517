//! Time that has passed: it follows the time it is given, but never runs backwards.

/// Milliseconds on such a clock's scale.
pub(crate) type Ms = i64;

/// A clock that an operator's correction of the machine's clock cannot set back: what is to
/// happen after a while would otherwise wait for that correction too.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    given: Option<i64>,
    passed_ms: i64,
    step_ms_max: Option<i64>,
}

impl Clock {
    /// A clock that no step moves by more than `step_ms_max`: time in which the process was
    /// paused, or that a correction jumped over, did not pass.
    #[must_use]
    pub fn capped(step_ms_max: i64) -> Self {
        Self { step_ms_max: Some(step_ms_max), ..Self::default() }
    }

    /// Takes the time as given to the step.
    pub fn advance(&mut self, given_ms: i64) {
        let before = self.given.replace(given_ms).unwrap_or(given_ms);
        let step = given_ms.saturating_sub(before).max(0);
        let step = self.step_ms_max.map_or(step, |max| step.min(max));
        self.passed_ms = self.passed_ms.saturating_add(step);
    }

    /// How many milliseconds have passed since the first step.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.passed_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_a_jump_back() {
        let mut clock = Clock::default();
        for (given, expected) in [(1_000, 0), (1_010, 10), (-500, 10), (-495, 15), (2_000, 2_510)] {
            clock.advance(given);
            assert_eq!(clock.now(), expected);
        }
    }

    #[test]
    fn a_capped_clock_jumps_nowhere() {
        let mut clock = Clock::capped(500);
        for (given, expected) in [(1_000, 0), (1_400, 400), (9_000, 900), (0, 900), (7, 907)] {
            clock.advance(given);
            assert_eq!(clock.now(), expected);
        }
    }
}
