//! One classic group: its members and the state of its rebalance.
//!
//! ```text
//!            first join                all joined              leader's sync is replayed
//! Empty ----------------> Preparing ------------> Completing -----------------> Stable
//!   ^                     ^   |  ^                    |                           |
//!   |   nobody joined     |   |  +--------------------+---------------------------+
//!   +---------------------|---+        a member joins, leaves or expires
//! ```

mod heartbeat;
mod join;
pub(crate) mod leave;
mod member;
mod rebalance;
mod replace;
mod subscription;
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};

pub(crate) use join::Joining;
pub(crate) use member::{Member, Waiter};
use replace::Replacing;

use crate::{Config, Decision};

/// The protocol type of consumers, whose subscriptions the coordinator can read.
const CONSUMER: &str = "consumer";
/// Stands for "the record does not say when".
const NO_TIME: i64 = -1;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets may be kept.
    Empty,
    /// Waiting for the members to (re)join.
    Preparing,
    /// Waiting for the leader's assignment.
    Completing,
    /// Everyone has its assignment.
    Stable,
}

/// What a group's decision is made with.
pub(crate) struct Env<'a> {
    pub(crate) now_ms: i64,
    pub(crate) config: &'a Config,
    pub(crate) out: &'a mut Decision,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// When the state last changed, if that is known.
    pub(crate) state_at_ms: i64,
    /// The topics that the members of the generation subscribe to, if they say so in a form that
    /// the coordinator can read.
    subscribed: Option<BTreeSet<String>>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Members given an id that have yet to come back with it, and until when they may.
    pending_members: BTreeMap<String, i64>,
    /// Members of the generation that have yet to ask for their assignment.
    pending_sync: BTreeSet<String>,
    sync_deadline_ms: Option<i64>,
    join: Option<JoinPhase>,
    /// A static member whose replacement waits for its record to be replayed.
    replacing: Option<Replacing>,
    /// What the members took when they were last weighed; see `Shard::settle`.
    pub(crate) weighed_bytes: usize,
    /// Below this nothing is due; see `Shard::wake`.
    pub(crate) wake_at_ms: i64,
}

/// The time that members have to join.
#[derive(Debug, Clone, Copy)]
struct JoinPhase {
    deadline_ms: i64,
    /// For a group's first generation: how much longer newcomers may extend the wait, and
    /// whether one has come since it was last extended.
    initial: Option<Initial>,
}

#[derive(Debug, Clone, Copy)]
struct Initial {
    remaining_ms: i64,
    newcomer: bool,
}

impl State {
    /// The state's name in DescribeGroups and ListGroups.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

impl Group {
    /// A group without members.
    pub(crate) fn new(id: &str, now_ms: i64) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            state_at_ms: now_ms,
            subscribed: None,
            members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            sync_deadline_ms: None,
            join: None,
            replacing: None,
            weighed_bytes: 0,
            wake_at_ms: i64::MAX,
        }
    }

    /// The group that a record describes; its members have a whole session to be heard of.
    pub(crate) fn restore(id: &str, value: &GroupMetadataValue, now_ms: i64) -> Self {
        let mut group = Self::new(id, now_ms);
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type.clone()).filter(|kind| !kind.is_empty());
        group.protocol.clone_from(&value.protocol);
        group.leader.clone_from(&value.leader);
        group.state_at_ms = value.current_state_timestamp;
        let protocol = value.protocol.clone().unwrap_or_default();
        for stored in &value.members {
            let member = Member::restore(stored, &protocol, now_ms);
            group.members.insert(member.id.clone(), member);
        }
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        group.subscribed = group.read_subscriptions();
        group
    }

    /// Takes over what was just written: the generation's assignment is the hard state.
    pub(crate) fn replay(&mut self, value: &GroupMetadataValue) {
        if value.generation != self.generation {
            return;
        }
        self.finish_replacing(value);
        for stored in &value.members {
            if let Some(member) = self.members.get_mut(&stored.member_id) {
                member.assignment = stored.assignment.clone();
            }
        }
        if self.state == State::Completing && !value.members.is_empty() {
            self.enter(State::Stable, value.current_state_timestamp);
        }
    }

    /// The group as a record, with the assignment of each member.
    pub(crate) fn to_value(
        &self,
        assignment: impl Fn(&Member) -> bytes::Bytes,
    ) -> GroupMetadataValue {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let stored = |member: &Member| MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assignment(member),
        };
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_at_ms,
            members: self.members.values().map(stored).collect(),
        }
    }

    /// Who of the members has this static id.
    pub(crate) fn by_instance(&self, instance: &str) -> Option<&Member> {
        self.members.values().find(|m| m.instance_id.as_deref() == Some(instance))
    }

    /// Checks that a request comes from a member as it is now.
    pub(crate) fn check_member(
        &self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.check_instance(member_id, instance)?;
        if !self.members.contains_key(member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }

    /// Checks that a static id is known and still belongs to this member.
    fn check_instance(&self, member_id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let Some(instance) = instance else { return Ok(()) };
        match self.by_instance(instance) {
            None => Err(ErrorCode::UnknownMemberId),
            Some(member) if member.id != member_id => Err(ErrorCode::FencedInstanceId),
            Some(_) => Ok(()),
        }
    }

    /// The earliest time at which something is due.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        let members = self.members.values().filter_map(Member::deadline);
        let pending = self.pending_members.values().copied();
        let phases = self.join.map(|join| join.deadline_ms).into_iter();
        members.chain(pending).chain(phases).chain(self.sync_deadline_ms).min()
    }

    /// Whoever asked under this token is gone: its answer has nowhere to go. The member has a
    /// session's time to ask again.
    pub(crate) fn cancel(&mut self, token: crate::Token, now_ms: i64) {
        let asked = |waiter: &mut Waiter| waiter.token == token;
        for member in self.members.values_mut() {
            let join = member.join.take_if(asked);
            if member.sync.take_if(asked).or(join).is_some() {
                member.heard(now_ms);
            }
        }
    }

    /// Whether the group says nothing that its absence would not.
    pub(crate) fn is_vain(&self) -> bool {
        self.generation == 0 && self.is_idle()
    }

    /// Whether the group has no members and expects none.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Empty && self.pending_members.is_empty()
    }

    /// Whether its members are consumers.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// The time from which the retention of an offset counts, or none while it is kept.
    pub(crate) fn offsets_kept_since(&self, commit_ms: i64) -> Option<i64> {
        match self.state {
            _ if self.protocol_type.is_none() => Some(commit_ms),
            State::Empty if self.state_at_ms == NO_TIME => Some(commit_ms),
            State::Empty => Some(self.state_at_ms),
            // As soon as it is known what is not subscribed to any more.
            State::Stable => self.subscribed.as_ref().map(|_| commit_ms),
            State::Preparing | State::Completing => None,
        }
    }

    /// What the members take.
    pub(crate) fn weight_bytes(&self) -> usize {
        let members = self.members.values().map(Member::weight_bytes);
        members.chain(self.pending_members.keys().map(String::len)).sum()
    }

    fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.state_at_ms = now_ms;
        if matches!(state, State::Empty | State::Preparing) {
            self.sync_deadline_ms = None;
            self.pending_sync.clear();
        }
        if state != State::Preparing {
            self.join = None;
        }
    }
}
