//! What is asked of the control plane at any node: topics come and go, voters come and go, brokers
//! take blocks of producer ids, and runs that are over still speak. An answer that says that it is
//! done rests on what is committed.

use node::{Asker, ControlEvent, ControlRequest, ControlResponse, ListenerKind, Role, Token};
use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};
use wire::messages::add_raft_voter_request as add;
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::messages::remove_raft_voter_request::RemoveRaftVoterRequest;
use wire::messages::update_raft_voter_request as update;

use crate::world::World;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Create(String),
    Delete(String),
    /// The next block of producer ids, for the broker that is asked.
    ProducerIds,
    /// Voters change.
    AddVoter(usize),
    RemoveVoter(BrokerId, Uuid),
    /// A voter is reached elsewhere from now on.
    UpdateVoter(usize, u16),
    /// A heartbeat of a run that is over.
    Ghost(usize, i64),
}

/// A client that waits for its answer.
pub(crate) struct Client {
    pub(crate) at: usize,
    life: u64,
    pub(crate) act: Act,
    /// Whether the topic was there before, where that is known.
    before: Option<bool>,
}

impl Act {
    fn topic(&self) -> Option<&str> {
        match self {
            Self::Create(name) | Self::Delete(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn is_removal(&self) -> bool {
        matches!(self, Self::RemoveVoter(..))
    }
}

impl World {
    /// A client of a node asks. One at a time has to do with a topic, or with a node's block.
    pub(crate) fn client(&mut self, at: usize, act: Act) {
        let busy = |client: &Client| {
            let topic = act.topic().is_some() && client.act.topic() == act.topic();
            let block = act == Act::ProducerIds && client.act == act && client.at == at;
            topic || block
        };
        if self.clients.values().any(busy) {
            return;
        }
        self.note(|| format!("a client at {at}: {act:?}"));
        let mut before = None;
        if let Some(name) = act.topic() {
            // Until the answer, and for ever without one, it may be there or not: what was asked
            // of a controller that was cut off may yet come about.
            before = self.topics.insert(name.to_owned(), None).unwrap_or(Some(false));
            if before.is_none() {
                self.muddy.insert(name.to_owned());
            }
        }
        self.ask(at, act, before);
    }

    /// A client deletes a topic and makes it again before it has an answer. What it holds is known
    /// by its id alone.
    pub(crate) fn remake(&mut self, at: usize, name: &str) {
        let asked = |client: &Client| client.act.topic() == Some(name);
        if self.clients.values().any(asked) {
            return;
        }
        self.counts.remade += 1;
        self.muddy.insert(name.to_owned());
        self.note(|| format!("a client at {at} makes {name} again"));
        self.ask(at, Act::Delete(name.to_owned()), None);
        self.ask(at, Act::Create(name.to_owned()), None);
    }

    fn ask(&mut self, at: usize, act: Act, before: Option<bool>) {
        if act.is_removal() {
            self.removal_at = self.now;
        }
        let request = self.request(at, &act);
        let token = self.token();
        let life = self.hosts[at].life;
        let version = *request.key().versions().end();
        let mut asker = Asker::own(version);
        if let Act::Ghost(..) | Act::UpdateVoter(..) = act {
            asker.listener = ListenerKind::Controller;
        }
        self.clients.insert(token, Client { at, life, act, before });
        self.post(0, at, life, ControlEvent::Ask { token, asker, request });
    }

    fn request(&self, at: usize, act: &Act) -> ControlRequest {
        let cluster_id = Some(self.node(at).cluster_id().to_owned()).filter(|id| !id.is_empty());
        match act {
            Act::Create(name) => create_request(name),
            Act::Delete(name) => delete_request(name),
            Act::ProducerIds => self.node(at).producer_ids_request().into(),
            Act::AddVoter(who) => add::AddRaftVoterRequest {
                cluster_id,
                timeout_ms: 2_000,
                voter_id: *who as i32,
                voter_directory_id: self.hosts[*who].directory,
                listeners: vec![add::Listener {
                    name: "CONTROLLER".to_owned(),
                    host: format!("node-{who}"),
                    port: 9093,
                }],
                ack_when_committed: true,
            }
            .into(),
            Act::RemoveVoter(id, directory) => RemoveRaftVoterRequest {
                cluster_id,
                voter_id: id.0,
                voter_directory_id: *directory,
            }
            .into(),
            Act::UpdateVoter(who, port) => update::UpdateRaftVoterRequest {
                cluster_id,
                current_leader_epoch: self.node(at).control_status().epoch.0,
                voter_id: *who as i32,
                voter_directory_id: self.hosts[*who].directory,
                listeners: vec![update::Listener {
                    name: "CONTROLLER".to_owned(),
                    host: format!("node-{who}"),
                    port: *port,
                }],
                kraft_version_feature: update::KRaftVersionFeature {
                    min_supported_version: 0,
                    max_supported_version: 1,
                },
            }
            .into(),
            Act::Ghost(who, epoch) => BrokerHeartbeatRequest {
                broker_id: *who as i32,
                broker_epoch: *epoch,
                current_metadata_offset: i64::MAX,
                ..Default::default()
            }
            .into(),
        }
    }

    /// The answer to a client.
    pub(crate) fn answered(&mut self, token: Token, response: &ControlResponse) {
        // The client has gone with the node that it asked, in an earlier life.
        let Some(client) = self.clients.remove(&token) else { return };
        assert_eq!(client.life, self.hosts[client.at].life);
        if client.act.is_removal() {
            self.removal_at = self.now;
        }
        let code = code_of(response);
        self.note(|| format!("{:?}: {code}", client.act));
        self.last_code = Some(code);
        if let Some(name) = client.act.topic().filter(|name| !self.muddy.contains(*name)) {
            let told = match (&client.act, code) {
                (Act::Create(_), ErrorCode::None | ErrorCode::TopicAlreadyExists) => Some(true),
                (_, ErrorCode::None | ErrorCode::UnknownTopicOrPartition) => Some(false),
                _ => None,
            };
            // Who refuses may be a controller that was cut off and tells what was once, or one that
            // was asked twice. A surprise counts from the last leader itself alone.
            let state = self.node(client.at).quorum_state().unwrap();
            let leads = state.role == Role::Leader && state.epoch == self.oracle.last_epoch();
            let sure = code == ErrorCode::None || leads || told == client.before;
            self.topics.insert(name.to_owned(), told.filter(|_| sure));
        }
        if code != ErrorCode::None {
            self.counts.refused += 1;
            return;
        }
        self.counts.confirmed += 1;
        let truth = &self.oracle.truth;
        match (&client.act, response) {
            (Act::Create(name), ControlResponse::CreateTopics(answer)) => {
                let id = answer.topics[0].topic_id;
                assert!(truth.topics.contains(&id), "{name} is confirmed, not committed");
            }
            (Act::Delete(name), _) => {
                let there = truth.image().topics.by_name(name).is_some();
                let muddy = self.muddy.contains(name);
                assert!(!there || muddy, "{name} is confirmed as gone, not committed");
            }
            (Act::ProducerIds, ControlResponse::AllocateProducerIds(block)) => {
                let end = block.producer_id_start + i64::from(block.producer_id_len);
                let next = truth.image().producer_ids.next;
                assert!(end <= next, "producer ids up to {end} are given, not committed");
                self.node(client.at).take_producer_ids(block);
                let host = &self.hosts[client.at];
                let taken = 1 + self.random.below(3);
                for _ in 0..taken {
                    self.producers.new_id(host.node.as_ref().unwrap());
                }
            }
            // A controller that was cut off knows of no later run.
            (Act::Ghost(who, epoch), _) => {
                let known = self.node(client.at).control_status().epoch;
                let last = self.oracle.last_epoch();
                assert!(
                    known < last,
                    "a heartbeat of node {who}'s epoch {epoch}, which is over, is accepted"
                );
            }
            _ => self.counts.voter_changes += 1,
        }
    }
}

fn create_request(name: &str) -> ControlRequest {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 8_000, ..Default::default() }.into()
}

fn delete_request(name: &str) -> ControlRequest {
    let topic = DeleteTopicState { name: Some(name.to_owned()), ..Default::default() };
    DeleteTopicsRequest { topics: vec![topic], timeout_ms: 8_000, ..Default::default() }.into()
}

fn code_of(answer: &ControlResponse) -> ErrorCode {
    let code = match answer {
        ControlResponse::CreateTopics(answer) => answer.topics[0].error_code,
        ControlResponse::DeleteTopics(answer) => answer.responses[0].error_code,
        ControlResponse::AllocateProducerIds(answer) => answer.error_code,
        ControlResponse::AddRaftVoter(answer) => answer.error_code,
        ControlResponse::RemoveRaftVoter(answer) => answer.error_code,
        ControlResponse::UpdateRaftVoter(answer) => answer.error_code,
        ControlResponse::BrokerHeartbeat(answer) => answer.error_code,
        other => panic!("{other:?}"),
    };
    ErrorCode::from_i16(code).unwrap()
}
