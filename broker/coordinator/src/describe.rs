//! DescribeGroups and ListGroups: what can be read of the groups of a shard.

use wire::ErrorCode;
use wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use wire::messages::list_groups_response::ListedGroup;

use crate::Shard;
use crate::group::{Group, Member, State};

/// From this version on, a group that does not exist is an error.
const NOT_FOUND_VERSION: i16 = 6;
/// The type of the groups of the classic protocol.
const CLASSIC: &str = "classic";

impl Shard {
    /// One group as DescribeGroups answers it.
    pub fn describe(&self, group_id: &str, version: i16) -> DescribedGroup {
        let answer = DescribedGroup { group_id: group_id.to_owned(), ..Default::default() };
        if !self.is_loaded() {
            let error_code = ErrorCode::CoordinatorLoadInProgress.code();
            return DescribedGroup { error_code, ..answer };
        }
        if let Some(group) = self.group(group_id) {
            return described(group, answer);
        }
        if self.has_offsets(group_id) {
            return DescribedGroup { group_state: State::Empty.name().to_owned(), ..answer };
        }
        let group_state = "Dead".to_owned();
        if version < NOT_FOUND_VERSION {
            return DescribedGroup { group_state, ..answer };
        }
        DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(format!("Group {group_id} not found.")),
            group_state,
            ..answer
        }
    }

    /// The groups as ListGroups answers them; empty filters let everything pass.
    pub fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let passes = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        if !passes(types, CLASSIC) {
            return Vec::new();
        }
        let listed = |id: &str, kind: &str, state: State| ListedGroup {
            group_id: id.to_owned(),
            protocol_type: kind.to_owned(),
            group_state: state.name().to_owned(),
            group_type: CLASSIC.to_owned(),
        };
        let simple = self.groups_with_offsets_only().map(|id| listed(id, "", State::Empty));
        let full = self.groups().map(|group| {
            let kind = group.protocol_type.as_deref().unwrap_or_default();
            listed(&group.id, kind, group.state)
        });
        let mut all: Vec<ListedGroup> =
            full.chain(simple).filter(|group| passes(states, &group.group_state)).collect();
        all.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        all
    }
}

fn described(group: &Group, answer: DescribedGroup) -> DescribedGroup {
    let stable = group.state == State::Stable;
    let protocol = group.protocol.clone().filter(|_| stable).unwrap_or_default();
    let member = |member: &Member| DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: match stable {
            true => member.metadata(&protocol),
            false => bytes::Bytes::new(),
        },
        // Outside of a stable generation it is the one before.
        member_assignment: member.assignment.clone(),
    };
    let members = group.members.values().map(member).collect();
    DescribedGroup {
        group_state: group.state.name().to_owned(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol,
        members,
        ..answer
    }
}
