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
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};

pub(crate) use join::Joining;
pub(crate) use member::{Member, Waiter};

use crate::{Config, Decision};

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
    /// When the state last changed.
    pub(crate) state_at_ms: i64,
    pub(crate) members: BTreeMap<String, Member>,
    /// Members given an id that have yet to come back with it, and until when they may.
    pending_members: BTreeMap<String, i64>,
    /// Members of the generation that have yet to ask for their assignment.
    pending_sync: BTreeSet<String>,
    sync_deadline_ms: Option<i64>,
    join: Option<JoinPhase>,
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
            members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            sync_deadline_ms: None,
            join: None,
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
        group
    }

    /// Takes over what was just written: the generation's assignment is the hard state.
    pub(crate) fn replay(&mut self, value: &GroupMetadataValue) {
        if value.generation != self.generation {
            return;
        }
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
        now_ms: i64,
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
            current_state_timestamp: now_ms,
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

    /// Whoever asked under this token is gone: its answer has nowhere to go.
    pub(crate) fn cancel(&mut self, token: crate::Token) {
        for member in self.members.values_mut() {
            member.join.take_if(|waiter| waiter.token == token);
            member.sync.take_if(|waiter| waiter.token == token);
        }
    }

    /// Whether the group says nothing that its absence would not.
    pub(crate) fn is_vain(&self) -> bool {
        self.state == State::Empty && self.generation == 0 && self.pending_members.is_empty()
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
