//! What a leader gave of the metadata, and this node did not take. It is asked for again at once,
//! and again: an operator is told once, and every minute while it stays so.

use quorum::Given;
use wire::ids::BrokerId;

/// How long nothing is said of the same gift of the same leader.
const SILENCE_MS: i64 = 60_000;

/// The last one, and what is to be said of it.
#[derive(Debug, Default)]
pub(crate) struct NotTaken {
    said: Option<(i64, BrokerId, Given)>,
    /// How often it came since it was said.
    more: u64,
    news: Option<String>,
}

impl NotTaken {
    pub(crate) fn note(&mut self, now_ms: i64, leader: BrokerId, given: Given, why: String) {
        let known = self.said.filter(|(_, whose, which)| (*whose, *which) == (leader, given));
        // A clock that was set back keeps nothing silent for longer.
        let is_recent = |since: i64| (0..SILENCE_MS).contains(&now_ms.saturating_sub(since));
        if known.is_some_and(|(since, ..)| is_recent(since)) {
            self.more += 1;
            return;
        }
        let more = match (known, std::mem::take(&mut self.more)) {
            (Some(_), more @ 1..) => format!(" ({more} times more meanwhile)"),
            _ => String::new(),
        };
        self.said = Some((now_ms, leader, given));
        let text = match given {
            Given::Snapshot(id) => format!(
                "the snapshot {id} of the metadata, as controller {leader} gives it, is not \
                 installed: {why}. It is asked for again{more}; this node waits for it or for a \
                 newer one. If it stays so, the file {} of controller {leader} is damaged, or the \
                 way there",
                id.file_name()
            ),
            Given::Records(from) => format!(
                "the metadata log from offset {from}, as controller {leader} gives it, is not \
                 taken: {why}. It is asked for again{more}; this node knows nothing newer until \
                 then. If it stays so, the metadata log of controller {leader} is damaged, or the \
                 way there: stop it, and another that has the records leads"
            ),
        };
        self.news = Some(text);
    }

    /// What is to be said, once.
    pub(crate) fn take_news(&mut self) -> Option<String> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use quorum::SnapshotId;
    use wire::ids::{LeaderEpoch, Offset};

    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let id = |end| SnapshotId { end_offset: Offset(end), epoch: LeaderEpoch(3) };
        let snapshot = |end| Given::Snapshot(id(end));
        let mut not_taken = NotTaken::default();
        let mut note = |now, leader, given| {
            not_taken.note(now, BrokerId(leader), given, "it is bent".to_owned());
            not_taken.take_news()
        };
        let text = note(1_000, 1, snapshot(90)).unwrap();
        assert!(text.contains("controller 1") && text.contains("it is bent"), "{text}");
        assert!(text.contains("00000000000000000090-0000000003.checkpoint"), "{text}");
        let twice = (note(2_000, 1, snapshot(90)), note(60_999, 1, snapshot(90)));
        assert_eq!(twice, (None, None));
        let text = note(61_000, 1, snapshot(90)).unwrap();
        assert!(text.contains("(2 times more meanwhile)"), "{text}");
        assert!(note(61_001, 2, snapshot(90)).is_some(), "another leader's");
        assert!(note(61_002, 2, snapshot(95)).is_some(), "another snapshot");
        assert!(note(0, 2, snapshot(95)).is_some(), "the clock was set back");
        let text = note(1, 2, Given::Records(Offset(95))).unwrap();
        assert!(text.contains("from offset 95") && text.contains("it is bent"), "{text}");
    }
}
