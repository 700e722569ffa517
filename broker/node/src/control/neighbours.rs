//! Whether the controllers that this node is configured with are of the cluster that it belongs to.
//!
//! A node that knows its cluster, by its disks or by `tidelog.cluster.id`, asks them after a start.
//! A wrong disk would follow the voters that it remembers, a fresh one under a wrong id would be
//! refused by everybody and wait for ever. One answer is told to the operator, since the other may
//! be the wrong one; when most of them say the same other id, this node is not one of theirs.

use std::collections::{BTreeMap, BTreeSet};

use quorum::{Bootstrap, Destination, Voters};
use wire::ids::BrokerId;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_cluster_response::DescribeClusterResponse;

use super::forwarding::Sent;
use super::plane::Plane;
use super::{ControlEffect, ControlRequest};

/// How long who has not answered is left alone.
const RETRY_MS: i64 = 500;
/// DescribeCluster is asked of controllers, about controllers.
const ENDPOINT_CONTROLLERS: i8 = 2;
/// Bootstrap servers have no names: so many answers in all are looked at.
const UNNAMED_ANSWERS_MAX: usize = 9;
/// So many of them, and more than not, must be of the same other cluster.
const UNNAMED_STRANGERS: usize = 3;

/// Whom an answer is from; `None`: one of the bootstrap servers.
pub(super) type Neighbour = Option<BrokerId>;

/// What they have said.
#[derive(Debug)]
pub(crate) struct Neighbours {
    own: String,
    node: BrokerId,
    /// The configured voters; empty when there are bootstrap servers only.
    voters: Voters,
    said: BTreeMap<BrokerId, String>,
    unnamed: Vec<String>,
    asking: BTreeSet<Neighbour>,
    ask_at: i64,
    settled: bool,
    /// What was found, for people.
    pub(super) finding: Option<String>,
}

/// What the answers so far come to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    /// Some are of this cluster, whatever one may say.
    Ours,
    Theirs(String),
}

impl Neighbours {
    /// Of a node that may know its cluster.
    pub(crate) fn of(own: Option<String>, node: BrokerId, bootstrap: &Bootstrap) -> Option<Self> {
        own.map(|own| Self::new(own, node, bootstrap))
    }

    fn new(own: String, node: BrokerId, bootstrap: &Bootstrap) -> Self {
        let voters = match bootstrap {
            Bootstrap::Static(voters) | Bootstrap::Voters(voters) => voters.clone(),
            Bootstrap::Alone | Bootstrap::Join => Voters::default(),
        };
        Self {
            own,
            node,
            voters,
            said: BTreeMap::new(),
            unnamed: Vec::new(),
            asking: BTreeSet::new(),
            ask_at: 0,
            settled: *bootstrap == Bootstrap::Alone,
            finding: None,
        }
    }

    /// Whom to ask now.
    fn due(&mut self, now: i64) -> Vec<(Neighbour, Destination)> {
        if self.settled || now < self.ask_at {
            return Vec::new();
        }
        self.ask_at = now.saturating_add(RETRY_MS);
        let mut due: Vec<(Neighbour, Destination)> = Vec::new();
        if self.voters.is_empty() {
            due.push((None, Destination::Bootstrap));
        }
        let others = self.voters.iter().filter(|voter| voter.id != self.node);
        for voter in others.filter(|voter| !self.said.contains_key(&voter.id)) {
            let (id, endpoints) = (voter.id, voter.endpoints.clone());
            due.push((Some(id), Destination::Node { id, endpoints }));
        }
        due.retain(|(whom, _)| self.asking.insert(*whom));
        due
    }

    /// One has answered; an empty id is none yet.
    fn answered(&mut self, whom: Neighbour, cluster_id: String) -> Verdict {
        self.asking.remove(&whom);
        if self.settled || cluster_id.is_empty() {
            return Verdict::Open;
        }
        if cluster_id != self.own {
            let one = whom.map_or("a bootstrap server".to_owned(), |id| format!("controller {id}"));
            let own = &self.own;
            self.finding = Some(format!(
                "this node belongs to cluster {own} (by its disks or tidelog.cluster.id), but \
                 {one} of its configuration belongs to cluster {cluster_id}"
            ));
        }
        match whom {
            Some(id) => drop(self.said.insert(id, cluster_id)),
            None => self.unnamed.push(cluster_id),
        }
        let verdict = self.verdict();
        self.settled = verdict != Verdict::Open;
        verdict
    }

    fn verdict(&self) -> Verdict {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for said in self.said.values().chain(&self.unnamed) {
            *counts.entry(said).or_default() += 1;
        }
        let mut ours = counts.remove(self.own.as_str()).unwrap_or(0);
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let (theirs, count) = most.unwrap_or_default();
        let (ours_enough, theirs_enough) = if self.voters.is_empty() {
            (self.unnamed.len() >= UNNAMED_ANSWERS_MAX, count >= UNNAMED_STRANGERS.max(ours + 1))
        } else {
            ours += usize::from(self.voters.by_id(self.node).is_some());
            (ours >= self.voters.majority(), count >= self.voters.majority())
        };
        match (theirs_enough, ours_enough) {
            (true, _) => Verdict::Theirs(theirs.to_owned()),
            (false, true) => Verdict::Ours,
            _ => Verdict::Open,
        }
    }
}

impl Plane {
    /// Asks those who have not said whose they are.
    pub(super) fn follow_neighbours(&mut self) {
        let now = self.clock.now();
        let due = self.neighbours.as_mut().map(|all| all.due(now)).unwrap_or_default();
        for (whom, to) in due {
            let endpoint_type = ENDPOINT_CONTROLLERS;
            let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
            self.send(Sent::Neighbour(whom), to, ControlRequest::DescribeCluster(request));
        }
    }

    pub(super) fn neighbour_answered(&mut self, whom: Neighbour, answer: DescribeClusterResponse) {
        let Some(neighbours) = &mut self.neighbours else { return };
        if let Verdict::Theirs(theirs) = neighbours.answered(whom, answer.cluster_id) {
            let own = &neighbours.own;
            let why = format!(
                "this node belongs to cluster {own} (by its disks or tidelog.cluster.id), but most \
                 controllers of its configuration belong to cluster {theirs}: another cluster's \
                 disk, or a wrong id"
            );
            self.effects.push(ControlEffect::Fatal { why });
        }
    }

    pub(super) fn neighbour_failed(&mut self, whom: Neighbour) {
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.asking.remove(&whom);
        }
    }

    /// What is odd about the cluster's ids, for people.
    pub(crate) fn stranger(&self) -> Option<&String> {
        self.neighbours.as_ref().and_then(|neighbours| neighbours.finding.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use quorum::Voter;
    use wire::ids::Uuid;

    use super::*;

    fn of_three(node: i32) -> Neighbours {
        let voter = |id| Voter { id: BrokerId(id), directory: Uuid::ZERO, endpoints: Vec::new() };
        let voters = Voters::new((1..=3).map(voter).collect());
        Neighbours::new("ours".to_owned(), BrokerId(node), &Bootstrap::Static(voters))
    }

    fn say(neighbours: &mut Neighbours, id: i32, cluster: &str) -> Verdict {
        neighbours.answered(Some(BrokerId(id)), cluster.to_owned())
    }

    #[test]
    fn a_majority_of_another_cluster_is_told_from_one_stranger() {
        let mut one = of_three(1);
        assert_eq!(one.due(0).len(), 2);
        assert!(one.due(9_000).is_empty(), "one question at a time");
        assert_eq!(say(&mut one, 2, ""), Verdict::Open);
        assert_eq!(one.due(9_500).len(), 1, "it did not know yet");
        assert_eq!(say(&mut one, 2, "theirs"), Verdict::Open);
        assert!(one.finding.as_ref().is_some_and(|text| text.contains("controller 2")));
        assert_eq!(say(&mut one, 3, "ours"), Verdict::Ours);
        assert!(one.due(99_000).is_empty());
        let mut one = of_three(1);
        assert_eq!(say(&mut one, 2, "theirs"), Verdict::Open);
        assert_eq!(say(&mut one, 3, "third"), Verdict::Open, "they do not agree");
        let mut one = of_three(1);
        assert_eq!(say(&mut one, 2, "theirs"), Verdict::Open);
        assert_eq!(say(&mut one, 3, "theirs"), Verdict::Theirs("theirs".to_owned()));
        // A broker that is no voter has no say of its own.
        let mut broker = of_three(9);
        assert_eq!(broker.due(0).len(), 3);
        assert_eq!(say(&mut broker, 1, "theirs"), Verdict::Open);
        assert_eq!(say(&mut broker, 2, "theirs"), Verdict::Theirs("theirs".to_owned()));
    }

    #[test]
    fn bootstrap_servers_may_be_this_node_itself() {
        let mut one = Neighbours::new("ours".to_owned(), BrokerId(1), &Bootstrap::Join);
        let mut last = Verdict::Open;
        for cluster in ["ours", "theirs", "theirs", "ours", "theirs"] {
            assert_eq!(last, Verdict::Open);
            last = one.answered(None, cluster.to_owned());
        }
        assert_eq!(last, Verdict::Theirs("theirs".to_owned()));
        let mut one = Neighbours::new("ours".to_owned(), BrokerId(1), &Bootstrap::Join);
        for cluster in ["ours", "theirs", "ours"].repeat(3) {
            let verdict = one.answered(None, cluster.to_owned());
            assert!(matches!(verdict, Verdict::Open | Verdict::Ours), "{verdict:?}");
        }
        assert!(one.settled);
    }
}
