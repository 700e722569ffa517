//! The quorum's own time: it follows the time it is given, but never runs backwards.

/// Milliseconds on the quorum's own scale.
pub(crate) type Ms = i64;

/// A clock that an operator's correction of the machine's clock cannot set back: what is to
/// happen after a while would otherwise wait for that correction too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    given: Option<i64>,
    now: Ms,
}

impl Clock {
    /// Takes the time as given to `step`.
    pub(crate) fn advance(&mut self, given: i64) {
        let before = self.given.replace(given).unwrap_or(given);
        self.now = self.now.saturating_add(given.saturating_sub(before).max(0));
    }

    /// How much has passed since the first step.
    pub(crate) fn now(&self) -> Ms {
        self.now
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
}
