//! Which bytes of a segment were checked against their CRC since the start.
//!
//! Bytes that this process appended or re-read in recovery need no check. Older ones are checked
//! piece by piece, when they are first read: a batch found corrupt is never served.

/// The checked bytes of one segment: all from `trusted_from` on, and some runs before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    trusted_from: u64,
    /// Sorted, apart from one another.
    runs: Vec<(u64, u64)>,
}

impl Verified {
    /// Everything is known to be sound.
    pub(crate) fn all() -> Self {
        Self::from(0)
    }

    /// Only what will be appended behind `position` is.
    pub(crate) fn from(position: u64) -> Self {
        Self { trusted_from: position, runs: Vec::new() }
    }

    /// Whether all of `from..to` was checked.
    pub(crate) fn covers(&self, from: u64, to: u64) -> bool {
        if from >= self.trusted_from || from >= to {
            return true;
        }
        let to = to.min(self.trusted_from);
        self.runs.iter().any(|(begin, end)| *begin <= from && to <= *end)
    }

    /// Notes that `from..to` was checked.
    pub(crate) fn add(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = (from, to);
        self.runs.retain(|(begin, end)| {
            let apart = *end < from || to < *begin;
            if !apart {
                from = from.min(*begin);
                to = to.max(*end);
            }
            apart
        });
        if to >= self.trusted_from {
            self.trusted_from = self.trusted_from.min(from);
            return;
        }
        let at = self.runs.partition_point(|(begin, _)| *begin < from);
        self.runs.insert(at, (from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_together() {
        let mut verified = Verified::from(100);
        assert!(verified.covers(100, 900));
        assert!(!verified.covers(99, 101));
        verified.add(10, 20);
        verified.add(30, 40);
        assert!(!verified.covers(10, 40));
        verified.add(20, 30);
        assert!(verified.covers(10, 40));
        assert_eq!(verified.runs, [(10, 40)]);
        verified.add(35, 100);
        assert!(verified.covers(10, 500));
        assert!(!verified.covers(9, 500));
        verified.add(0, 10);
        assert_eq!(verified, Verified::all());
    }
}
