//! Controllers of another cluster that take this node for one of their voters: its disk was lost
//! or exchanged, and it has founded, or joined, a cluster beside theirs; or somebody's
//! configuration names a wrong address. They are refused; an operator is told, once a minute.

use quorum::Request;

use super::raft_messages::Question;

/// How long nothing more is said, whatever names come.
const SILENCE_MS: i64 = 60_000;
/// Longer names of clusters are cut: Kafka's have 22 characters.
const NAME_MAX: usize = 64;

/// When the last was told, and what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    said_ms: Option<i64>,
    news: Option<String>,
}

impl Claims {
    /// Looks at a question to the quorum of a node of cluster `own`.
    pub(super) fn look_at(&mut self, now_ms: i64, own: Option<&String>, question: &Question) {
        let (Some(own), Some(theirs)) = (own, &question.cluster_id) else { return };
        if own == theirs || !matches!(question.request, Request::Vote(_) | Request::BeginEpoch(_)) {
            return;
        }
        // A clock that was set back keeps nothing silent for longer.
        let is_recent = |since: i64| (0..SILENCE_MS).contains(&now_ms.saturating_sub(since));
        if self.said_ms.is_some_and(is_recent) {
            return;
        }
        let theirs: String = theirs.chars().take(NAME_MAX).collect();
        self.news = Some(format!(
            "a controller of cluster {theirs:?} takes this node of cluster {own} for one of its \
             voters, and is refused. If this node's disk was lost, stop it: it has begun a cluster \
             of its own. To come back it needs an empty disk, and other controllers in \
             controller.quorum.voters or controller.quorum.bootstrap.servers"
        ));
        self.said_ms = Some(now_ms);
    }

    /// What is to be said, once.
    pub(crate) fn take_news(&mut self) -> Option<String> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use quorum::{ReplicaKey, VoteRequest};
    use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};

    use super::*;

    #[test]
    fn it_is_said_once_a_minute_and_of_voters_questions_only() {
        let key = |id| ReplicaKey { id: BrokerId(id), directory: Uuid::ZERO };
        let vote = Request::Vote(VoteRequest {
            epoch: LeaderEpoch(1),
            candidate: key(2),
            voter: key(1),
            last_epoch: LeaderEpoch(1),
            end_offset: Offset(9),
            pre_vote: true,
        });
        let mut claims = Claims::default();
        let mut told = |now, cluster: Option<&str>, request: &Request| {
            let cluster_id = cluster.map(str::to_owned);
            let question = Question { cluster_id, request: request.clone() };
            claims.look_at(now, Some(&"ours".to_owned()), &question);
            claims.take_news()
        };
        assert_eq!(told(0, Some("ours"), &vote), None);
        assert_eq!(told(0, None, &vote), None);
        assert_eq!(told(0, Some("theirs"), &Request::RemoveVoter(key(1))), None);
        let text = told(0, Some("theirs"), &vote).unwrap();
        assert!(text.contains("\"theirs\"") && text.contains("of cluster ours"), "{text}");
        assert_eq!(told(59_999, Some("another"), &vote), None);
        assert!(told(60_000, Some(&"x".repeat(9_999)), &vote).unwrap().len() < 600);
    }
}
