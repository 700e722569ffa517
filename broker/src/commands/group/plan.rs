//! Where a group is to go on: the decision, without asking anybody.

use super::progress::Place;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The first record that is there.
    Earliest,
    /// The record after the last.
    Latest,
    /// Where it is; where it has no offset yet, the end.
    Current,
    /// This offset.
    Offset(i64),
    /// So many records on, or back.
    ShiftBy(i64),
    /// The first record that is not older; the end where there is none.
    At(i64),
}

/// What is known about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) committed: Option<i64>,
    pub(super) start: i64,
    pub(super) end: i64,
    /// The first record not older than the time asked for.
    pub(super) at_time: Option<i64>,
}

/// One partition's move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) place: Place,
    pub(super) from: Option<i64>,
    pub(super) to: i64,
    /// The offset asked for, when there is no such record.
    pub(super) out_of_range: Option<i64>,
}

/// The new offset of a partition; none when it cannot be shifted because there is none yet.
pub(super) fn plan(place: &Place, known: Known, target: Target) -> Option<Move> {
    let wanted = match target {
        Target::Earliest => known.start,
        Target::Latest => known.end,
        Target::Current => known.committed.unwrap_or(known.end),
        Target::Offset(offset) => offset,
        Target::ShiftBy(by) => known.committed?.saturating_add(by),
        Target::At(_) => known.at_time.unwrap_or(known.end),
    };
    // Where it is may be outside already: that is not for a reset to change.
    let to = match target {
        Target::Current => wanted,
        _ => wanted.clamp(known.start, known.end.max(known.start)),
    };
    let out_of_range = (to != wanted).then_some(wanted);
    Some(Move { place: place.clone(), from: known.committed, to, out_of_range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target() {
        let known = Known { committed: Some(50), start: 10, end: 100, at_time: Some(70) };
        let fresh = Known { committed: None, at_time: None, ..known };
        let to = |known, target| {
            plan(&("t".into(), 0), known, target).map(|one| (one.to, one.out_of_range))
        };
        for (target, expected, expected_fresh) in [
            (Target::Earliest, (10, None), Some((10, None))),
            (Target::Latest, (100, None), Some((100, None))),
            (Target::Current, (50, None), Some((100, None))),
            (Target::Offset(60), (60, None), Some((60, None))),
            (Target::Offset(5), (10, Some(5)), Some((10, Some(5)))),
            (Target::Offset(-5), (10, Some(-5)), Some((10, Some(-5)))),
            (Target::Offset(101), (100, Some(101)), Some((100, Some(101)))),
            (Target::ShiftBy(-20), (30, None), None),
            (Target::ShiftBy(-41), (10, Some(9)), None),
            (Target::ShiftBy(i64::MAX), (100, Some(i64::MAX)), None),
            (Target::At(1), (70, None), Some((100, None))),
        ] {
            assert_eq!(to(known, target), Some(expected), "{target:?}");
            assert_eq!(to(fresh, target), expected_fresh, "{target:?} without an offset");
        }
    }
}
