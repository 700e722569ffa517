//! What clients live through.

use super::*;

#[test]
fn one_member_joins_syncs_and_lives() {
    let mut h = Harness::new();
    let (id, token) = h.enter();
    assert!(h.waits(token), "the first generation waits for others");
    h.wait(2_999);
    assert!(h.waits(token));
    h.wait(1);
    let joined = h.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!((joined.leader.as_str(), joined.members.len()), (id.as_str(), 1));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members[0].metadata, "range subscription");
    assert!(h.log.is_empty(), "a generation is written with its assignment");
    // Between join and sync: heartbeats pass, commits do not.
    assert_eq!(h.heartbeat(&id, 1), ErrorCode::None);
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::RebalanceInProgress);
    let token = h.sync(&id, 1, &[(&id, "both")]);
    assert_eq!(h.synced(token).assignment, "both");
    assert_eq!(h.log.len(), 1);
    for _ in 0..5 {
        h.wait(9_000);
        assert_eq!(h.heartbeat(&id, 1), ErrorCode::None);
    }
    assert_eq!(h.heartbeat(&id, 2), ErrorCode::IllegalGeneration);
    assert_eq!(h.heartbeat("stranger", 1), ErrorCode::UnknownMemberId);
    assert_eq!(h.commit(&id, 1, 0, 5), ErrorCode::None);
    assert_eq!((h.offset(0), h.offset(1)), (5, -1));
    let described = h.shard.describe("g", 6);
    let state = (described.group_state.as_str(), described.protocol_data.as_str());
    assert_eq!(state, ("Stable", "range"));
    assert_eq!(described.members[0].member_assignment, "both");
    assert_eq!(h.shard.list(&[], &[])[0].group_state, "Stable");
    assert!(h.shard.list(&["empty".to_owned()], &[]).is_empty());
    assert!(h.shard.list(&[], &["consumer".to_owned()]).is_empty());
}

#[test]
fn a_second_member_makes_everyone_rejoin() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, second_join) = h.enter();
    assert_eq!(h.heartbeat(&first, 1), ErrorCode::RebalanceInProgress);
    assert!(h.waits(second_join));
    // Commits of the old generation still pass while it winds up.
    assert_eq!(h.commit(&first, 1, 0, 7), ErrorCode::None);
    let first_join = h.join(&first);
    let (a, b) = (h.joined(first_join), h.joined(second_join));
    assert_eq!((a.generation_id, b.generation_id), (2, 2));
    assert_eq!((&a.leader, &b.leader), (&first, &first), "the leader stays");
    assert_eq!((a.members.len(), b.members.len()), (2, 0));
    let follower = h.sync(&second, 2, &[]);
    assert!(h.waits(follower), "the assignment is the leader's");
    let leader = h.sync(&first, 2, &[(&first, "p0"), (&second, "p1")]);
    assert_eq!(h.synced(leader).assignment, "p0");
    assert_eq!(h.synced(follower).assignment, "p1");
    // A member that missed the answer is told again.
    let again = h.sync(&second, 2, &[]);
    assert_eq!(h.synced(again).assignment, "p1");
}

#[test]
fn a_member_leaves_and_the_rest_rebalance() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, second_join) = h.enter();
    let first_join = h.join(&first);
    h.joined(first_join);
    h.joined(second_join);
    let waiting = h.sync(&second, 2, &[]);
    let left = h.leave(&first);
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    let told = h.synced(waiting).error_code;
    assert_eq!(told, ErrorCode::RebalanceInProgress.code());
    let token = h.join(&second);
    let joined = h.joined(token);
    assert_eq!((joined.generation_id, &joined.leader), (3, &second));
    assert_eq!(h.leave("stranger").members[0].error_code, ErrorCode::UnknownMemberId.code());
}

#[test]
fn a_silent_member_expires() {
    let mut h = Harness::new();
    let id = h.stable();
    assert_eq!(h.commit(&id, 1, 1, 11), ErrorCode::None);
    h.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(h.shard.describe("g", 6).group_state, "Stable");
    h.wait(1);
    let described = h.shard.describe("g", 6);
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Empty", 0));
    assert_eq!(h.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
    assert_eq!(h.offset(1), 11, "offsets outlive the members");
    // An empty group's offsets may be set by anyone who names no generation.
    assert_eq!(h.commit("", -1, 1, 3), ErrorCode::None);
    assert_eq!(h.offset(1), 3);
    let reloaded = h.reload();
    assert_eq!(reloaded.shard.describe("g", 6).group_state, "Empty");
}

#[test]
fn a_member_that_does_not_come_back_is_left_behind() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, second_join) = h.enter();
    for _ in 0..3 {
        h.wait(9_000);
        // It lives, but it does not join.
        assert_eq!(h.heartbeat(&first, 1), ErrorCode::RebalanceInProgress);
    }
    assert!(h.waits(second_join));
    h.wait(3_000);
    let joined = h.joined(second_join);
    assert_eq!((joined.generation_id, &joined.leader, joined.members.len()), (2, &second, 1));
    assert_eq!(h.heartbeat(&first, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn who_never_syncs_is_left_behind() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, second_join) = h.enter();
    let first_join = h.join(&first);
    h.joined(first_join);
    h.joined(second_join);
    let follower = h.sync(&second, 2, &[]);
    for _ in 0..3 {
        h.wait(9_900);
        assert_eq!(h.heartbeat(&first, 2), ErrorCode::None, "the leader lives but does not sync");
    }
    h.wait(300);
    assert_eq!(h.synced(follower).error_code, ErrorCode::RebalanceInProgress.code());
    assert_eq!(h.heartbeat(&first, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn newcomers_extend_the_first_wait() {
    let mut h = Harness::new();
    let (_, first) = h.enter();
    h.wait(2_000);
    let (_, second) = h.enter();
    h.wait(1_000);
    assert!(h.waits(first), "someone came: wait a little more");
    h.wait(3_000);
    let (a, b) = (h.joined(first), h.joined(second));
    assert_eq!((a.generation_id, b.generation_id), (1, 1));
    assert_eq!(a.members.len() + b.members.len(), 2);
}

#[test]
fn without_a_delay_the_first_generation_is_at_once() {
    let config = Config { initial_rebalance_delay_ms: 0, ..Config::default() };
    let mut h = Harness::with(config, Vec::new(), 0);
    let (_, token) = h.enter();
    assert_eq!(h.joined(token).generation_id, 1);
}

#[test]
fn old_clients_join_without_being_given_an_id_first() {
    let mut h = Harness::new();
    let mut request = h.join_request("");
    request.rebalance_timeout_ms = -1;
    let token = h.send(0, Request::Join(request));
    h.wait(3_000);
    let joined = h.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
}

#[test]
fn a_reloaded_shard_knows_the_generation() {
    let mut h = Harness::new();
    let id = h.stable();
    assert_eq!(h.commit(&id, 1, 0, 42), ErrorCode::None);
    let mut other = h.reload();
    assert_eq!(other.shard.describe("g", 6), h.shard.describe("g", 6));
    assert_eq!(other.offset(0), 42);
    assert_eq!(other.heartbeat(&id, 1), ErrorCode::None);
    let token = other.sync(&id, 1, &[]);
    assert_eq!(other.synced(token).assignment, "both");
    other.wait(i64::from(SESSION_MS));
    assert_eq!(other.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let mut h = Harness::new();
    let (id, token) = h.enter();
    h.wait(3_000);
    h.joined(token);
    h.refuse = Some(ErrorCode::NotCoordinator);
    let token = h.sync(&id, 1, &[(&id, "both")]);
    assert_eq!(h.synced(token).error_code, ErrorCode::NotCoordinator.code());
    let token = h.sync(&id, 1, &[(&id, "again")]);
    assert_eq!(h.synced(token).assignment, "again");
    h.refuse = Some(ErrorCode::NotCoordinator);
    assert_eq!(h.commit(&id, 1, 0, 1), ErrorCode::NotCoordinator);
    assert_eq!(h.offset(0), -1);
}

#[test]
fn requests_out_of_order_are_refused() {
    let mut h = Harness::new();
    let refused = |h: &mut Harness, request: JoinGroupRequest| {
        let token = h.send(9, Request::Join(request));
        code(h.joined(token).error_code)
    };
    let base = h.join_request("");
    let with = |change: fn(&mut JoinGroupRequest)| {
        let mut request = base.clone();
        change(&mut request);
        request
    };
    for (request, expected) in [
        (with(|r| r.group_id.clear()), ErrorCode::InvalidGroupId),
        (with(|r| r.session_timeout_ms = 5_999), ErrorCode::InvalidSessionTimeout),
        (with(|r| r.session_timeout_ms = 1_800_001), ErrorCode::InvalidSessionTimeout),
        (with(|r| r.member_id = "x".to_owned()), ErrorCode::UnknownMemberId),
        (with(|r| r.protocols.clear()), ErrorCode::InconsistentGroupProtocol),
        (with(|r| r.protocol_type.clear()), ErrorCode::InconsistentGroupProtocol),
    ] {
        assert_eq!(refused(&mut h, request), expected);
    }
    assert!(h.shard.list(&[], &[]).is_empty(), "nothing is left of refused joins");
    h.stable();
    for request in [
        with(|r| r.protocol_type = "connect".to_owned()),
        with(|r| r.protocols = vec![protocol("sticky")]),
    ] {
        assert_eq!(refused(&mut h, request), ErrorCode::InconsistentGroupProtocol);
    }
    assert_eq!(h.commit("x", 1, 0, 1), ErrorCode::UnknownMemberId);
    assert_eq!(h.commit("", -1, 0, 1), ErrorCode::UnknownMemberId);
    let mut fresh = Harness::new();
    assert_eq!(fresh.commit("x", 1, 0, 1), ErrorCode::GroupIdNotFound);
    assert_eq!(fresh.commit("", -1, 9, 1), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(fresh.commit("", -1, 0, 1), ErrorCode::None);
}

#[test]
fn a_shard_that_loads_says_so() {
    let mut shard = Shard::new(Config::default());
    let image = image();
    let (client_id, client_host) = ("", "");
    let ctx = Context { now_ms: 0, version: 4, client_id, client_host, image: &image, random: 0 };
    let request =
        Request::Heartbeat(HeartbeatRequest { group_id: "g".to_owned(), ..Default::default() });
    let decision = shard.handle(&ctx, 3, &request);
    let expected = Response::Heartbeat(heartbeat(ErrorCode::None));
    let lives = [Reply { token: 3, response: expected }];
    assert_eq!(decision.replies, lives, "who may turn out to be a member is not sent away");
    let decision = shard.handle(&ctx, 4, &Request::DeleteGroup("g".to_owned()));
    let Response::DeleteGroup(refused) = &decision.replies[0].response else { panic!() };
    assert_eq!(refused.error_code, ErrorCode::CoordinatorLoadInProgress.code());
}

#[test]
fn a_full_group_takes_nobody() {
    let config = Config { group_members_max: 1, ..Config::default() };
    let mut h = Harness::with(config, Vec::new(), 0);
    h.stable();
    let token = h.join("");
    assert_eq!(h.joined(token).error_code, ErrorCode::GroupMaxSizeReached.code());
}

#[test]
fn a_static_member_replaces_itself() {
    let mut h = Harness::new();
    let request = |h: &Harness, member: &str| JoinGroupRequest {
        group_instance_id: Some("i".to_owned()),
        ..h.join_request(member)
    };
    let first = request(&h, "");
    let token = h.send(9, Request::Join(first));
    h.wait(3_000);
    let old = h.joined(token).member_id;
    assert!(old.starts_with("i-"));
    let again = request(&h, "");
    let token = h.send(9, Request::Join(again));
    let new = h.joined(token);
    assert_eq!((new.error_code, new.generation_id), (0, 2));
    assert_ne!(new.member_id, old);
    let stale = request(&h, &old);
    let token = h.send(9, Request::Join(stale));
    assert_eq!(h.joined(token).error_code, ErrorCode::FencedInstanceId.code());
}

#[test]
fn ids_names_and_versions_of_offsets() {
    let mut h = Harness::new();
    assert_eq!(h.commit("", -1, 1, 8), ErrorCode::None);
    let all = h.fetch(9, None);
    assert_eq!((all.topics.len(), all.topics[0].partitions[0].committed_offset), (1, 8));
    assert_eq!(all.topics[0].partitions[0].metadata.as_deref(), Some("m"));
    let by_id = h.fetch(10, Some(&[0, 1]));
    assert_eq!(by_id.topics[0].partitions[1].committed_offset, 8);
    assert_eq!(h.shard.describe("g", 6).group_state, "Empty");
    assert_eq!(h.shard.describe("h", 6).error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(h.shard.describe("h", 5).group_state, "Dead");
    // The topic goes: so do its offsets.
    let gone = h.shard.forget_topics(&BTreeSet::from(["t".to_owned()]));
    h.take(gone);
    assert_eq!(h.offset(1), -1);
    h.image = Image::default();
    let unknown = h.fetch(10, Some(&[0]));
    let error = unknown.topics[0].partitions[0].error_code;
    assert_eq!(error, ErrorCode::UnknownTopicId.code());
}

#[test]
fn groups_are_deleted_once_empty() {
    let mut h = Harness::new();
    let id = h.stable();
    assert_eq!(h.commit(&id, 1, 0, 1), ErrorCode::None);
    let delete = |h: &mut Harness| {
        let token = h.send(2, Request::DeleteGroup("g".to_owned()));
        match h.answer(token) {
            Response::DeleteGroup(result) => code(result.error_code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete(&mut h), ErrorCode::NonEmptyGroup);
    h.leave(&id);
    assert_eq!(delete(&mut h), ErrorCode::None);
    assert_eq!(delete(&mut h), ErrorCode::GroupIdNotFound);
    assert_eq!(h.offset(0), -1);
    assert!(h.reload().shard.list(&[], &[]).is_empty());
}

#[test]
fn a_lost_shard_tells_everyone_who_waits() {
    let mut h = Harness::new();
    let (_, token) = h.enter();
    let replies = h.shard.abandon(ErrorCode::NotCoordinator);
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].token, token);
}
