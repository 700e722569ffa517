//! Whether the controllers that this node is configured with are of the cluster that it belongs to.
//!
//! A node that knows its cluster, by its disks or by `tidelog.cluster.id`, asks them after a start.
//! A wrong disk would follow the voters that it remembers, a fresh one under a wrong id would be
//! refused by everybody and wait for ever. One answer is told to the operator, since the other may
//! be the wrong one; when most of them say the same other id, this node is not one of theirs.

use std::collections::{BTreeMap, BTreeSet};

use quorum::{Bootstrap, Destination};
use wire::ids::BrokerId;
use wire::messages::describe_cluster_request::DescribeClusterRequest;
use wire::messages::describe_cluster_response::DescribeClusterResponse;

use super::forwarding::Sent;
use super::plane::Plane;
use super::{ControlEffect, ControlRequest};
use crate::config::QuorumConfig;

/// How long who has not answered is left alone.
const RETRY_MS: i64 = 500;
/// DescribeCluster is asked of controllers, about controllers.
const ENDPOINT_CONTROLLERS: i8 = 2;

/// Whom an answer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Neighbour {
    /// One of the voters of the configuration.
    Voter(BrokerId),
    /// One of its bootstrap servers, by its place in the list; it may be this node itself.
    Server(usize),
}

/// What they have said.
#[derive(Debug)]
pub(crate) struct Neighbours {
    own: String,
    /// Those who are asked, and where.
    all: Vec<(Neighbour, Destination)>,
    /// This node's own voice, as one of the voters.
    votes: bool,
    said: BTreeMap<Neighbour, String>,
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
    pub(crate) fn of(own: Option<String>, node: BrokerId, config: &QuorumConfig) -> Option<Self> {
        own.map(|own| Self::new(own, node, config))
    }

    fn new(own: String, node: BrokerId, config: &QuorumConfig) -> Self {
        let mut votes = false;
        let mut all = Vec::new();
        match &config.bootstrap {
            Bootstrap::Static(voters) | Bootstrap::Voters(voters) => {
                votes = voters.by_id(node).is_some();
                all.extend(voters.iter().filter(|voter| voter.id != node).map(|voter| {
                    let (id, endpoints) = (voter.id, voter.endpoints.clone());
                    (Neighbour::Voter(id), Destination::Node { id, endpoints })
                }));
            }
            Bootstrap::Join => all.extend(
                (0..config.bootstrap_servers)
                    .map(|place| (Neighbour::Server(place), Destination::Server(place))),
            ),
            Bootstrap::Alone => {}
        }
        Self {
            own,
            votes,
            said: BTreeMap::new(),
            asking: BTreeSet::new(),
            ask_at: 0,
            settled: all.is_empty(),
            all,
            finding: None,
        }
    }

    /// Whom to ask now.
    fn due(&mut self, now: i64) -> Vec<(Neighbour, Destination)> {
        if self.settled || now < self.ask_at {
            return Vec::new();
        }
        self.ask_at = now.saturating_add(RETRY_MS);
        let silent = self.all.iter().filter(|(whom, _)| !self.said.contains_key(whom));
        silent.filter(|(whom, _)| self.asking.insert(*whom)).cloned().collect()
    }

    /// One has answered; an empty id is none yet.
    fn answered(&mut self, whom: Neighbour, cluster_id: String) -> Verdict {
        self.asking.remove(&whom);
        if self.settled || cluster_id.is_empty() {
            return Verdict::Open;
        }
        if cluster_id != self.own {
            let one = match whom {
                Neighbour::Voter(id) => format!("controller {id}"),
                Neighbour::Server(place) => format!("bootstrap server {}", place + 1),
            };
            let own = &self.own;
            self.finding = Some(format!(
                "this node belongs to cluster {own} (by its disks or tidelog.cluster.id), but \
                 {one} of its configuration belongs to cluster {cluster_id}"
            ));
        }
        self.said.insert(whom, cluster_id);
        let verdict = self.verdict();
        self.settled = verdict != Verdict::Open;
        verdict
    }

    fn verdict(&self) -> Verdict {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for said in self.said.values() {
            *counts.entry(said).or_default() += 1;
        }
        let own = usize::from(self.votes);
        let ours = counts.remove(self.own.as_str()).unwrap_or(0) + own;
        let (theirs, count) =
            counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default();
        let majority = (self.all.len() + own) / 2 + 1;
        match (count >= majority, ours >= majority) {
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
    use quorum::{Voter, Voters};
    use wire::ids::Uuid;

    use super::*;

    fn of_three(node: i32) -> Neighbours {
        let voter = |id| Voter { id: BrokerId(id), directory: Uuid::ZERO, endpoints: Vec::new() };
        let bootstrap = Bootstrap::Static(Voters::new((1..=3).map(voter).collect()));
        let config = QuorumConfig { bootstrap, ..QuorumConfig::alone() };
        Neighbours::new("ours".to_owned(), BrokerId(node), &config)
    }

    fn of_servers(bootstrap_servers: usize) -> Neighbours {
        let bootstrap = Bootstrap::Join;
        let config = QuorumConfig { bootstrap, bootstrap_servers, ..QuorumConfig::alone() };
        Neighbours::new("ours".to_owned(), BrokerId(9), &config)
    }

    fn say(neighbours: &mut Neighbours, id: i32, cluster: &str) -> Verdict {
        neighbours.answered(Neighbour::Voter(BrokerId(id)), cluster.to_owned())
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

    /// Whatever it says, and however often, one server is one.
    #[test]
    fn a_single_bootstrap_server_of_many_ends_nobody() {
        let mut one = of_servers(3);
        assert_eq!(one.due(0).len(), 3);
        let mut say =
            |place, cluster: &str| one.answered(Neighbour::Server(place), cluster.to_owned());
        for _ in 0..5 {
            assert_eq!(say(2, "theirs"), Verdict::Open);
        }
        assert_eq!(say(0, ""), Verdict::Open);
        assert_eq!(say(1, "theirs"), Verdict::Theirs("theirs".to_owned()));
        assert!(one.finding.is_some_and(|text| text.contains("bootstrap server 2")));
        let mut one = of_servers(1);
        let verdict = one.answered(Neighbour::Server(0), "theirs".to_owned());
        assert_eq!(verdict, Verdict::Theirs("theirs".to_owned()), "all that it is told to ask");
        assert!(of_servers(0).due(0).is_empty());
    }
}
