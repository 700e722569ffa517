//! The voters along the log. A change counts from the moment it is in the log, committed or not,
//! and counts no more when it is cut off.

use wire::ids::Offset;

use crate::Voters;

/// A change of the voters or of the format.
#[derive(Debug, Clone)]
struct Change {
    at: Offset,
    kraft_version: i16,
    voters: Voters,
}

/// The voters, and how they became so.
#[derive(Debug, Clone)]
pub(crate) struct VoterHistory {
    /// What held at the log's start.
    base: Change,
    changes: Vec<Change>,
}

impl VoterHistory {
    pub(crate) fn new(kraft_version: i16, voters: Voters) -> Self {
        Self { base: Change { at: Offset(-1), kraft_version, voters }, changes: Vec::new() }
    }

    fn latest_change(&self) -> &Change {
        self.changes.last().unwrap_or(&self.base)
    }

    fn change_at(&self, end: Offset) -> &Change {
        self.changes.iter().rev().find(|change| change.at < end).unwrap_or(&self.base)
    }

    /// The voters now.
    pub(crate) fn latest(&self) -> &Voters {
        &self.latest_change().voters
    }

    /// The offset of the last change; -1 when the log holds none.
    pub(crate) fn latest_at(&self) -> Offset {
        self.latest_change().at
    }

    /// The format now.
    pub(crate) fn kraft_version(&self) -> i16 {
        self.latest_change().kraft_version
    }

    /// The voters and the format in the log's prefix up to `end`.
    pub(crate) fn at(&self, end: Offset) -> (i16, &Voters) {
        let change = self.change_at(end);
        (change.kraft_version, &change.voters)
    }

    /// The voters in the prefix up to `end`, and those of each change after it.
    pub(crate) fn since(&self, end: Offset) -> impl Iterator<Item = &Voters> {
        let after = self.changes.iter().filter(move |change| change.at >= end);
        [self.change_at(end)].into_iter().chain(after).map(|change| &change.voters)
    }

    /// The record at `at` sets the voters. That there is such a record says that the format knows
    /// directories, even when the log does not go back to where it became so.
    pub(crate) fn set_voters(&mut self, at: Offset, voters: Voters) {
        let kraft_version = self.kraft_version().max(1);
        self.changes.push(Change { at, kraft_version, voters });
    }

    /// The record at `at` sets the format.
    pub(crate) fn set_kraft_version(&mut self, at: Offset, kraft_version: i16) {
        let voters = self.latest().clone();
        self.changes.push(Change { at, kraft_version, voters });
    }

    /// The log now ends at `end`.
    pub(crate) fn truncate(&mut self, end: Offset) {
        self.changes.retain(|change| change.at < end);
    }

    /// The log now begins at `start`.
    pub(crate) fn trim(&mut self, start: Offset) {
        self.base = self.change_at(start).clone();
        self.changes.retain(|change| change.at >= start);
    }
}
