//! Members that come back, are replaced, are turned away, or leave together.

use super::*;

fn leader_of(h: &mut Harness, who: &str) -> bool {
    let token = h.sync(who, 1, &[]);
    h.synced(token).error_code == 0
}

#[test]
fn a_static_member_takes_its_former_place_and_nobody_notices() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    let written = h.log.len();
    let token = h.join_static(9, "", "a");
    let joined = h.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1), "no new generation");
    assert_ne!(joined.member_id, a);
    // Who leads is told of everybody, and told to leave the assignment as it is.
    assert_eq!(joined.skip_assignment, joined.leader == joined.member_id);
    assert_eq!(joined.members.is_empty(), !joined.skip_assignment);
    assert_eq!(h.log.len(), written + 1, "the new id is written");
    assert_eq!(h.heartbeat(&b, 1), ErrorCode::None, "the other one is left alone");
    let token = h.sync(&joined.member_id, 1, &[]);
    assert_eq!(h.synced(token).assignment, "for a");
    let token = h.sync(&b, 1, &[]);
    assert_eq!(h.synced(token).assignment, "for b");
    // The former self is fenced when it shows its static id, and unknown when it does not.
    assert_eq!(h.heartbeat(&a, 1), ErrorCode::UnknownMemberId);
    let token = h.join_static(9, &a, "a");
    assert_eq!(code(h.joined(token).error_code), ErrorCode::FencedInstanceId);
    let mut other = h.reload();
    assert_eq!(other.heartbeat(&joined.member_id, 1), ErrorCode::None);
    assert_eq!(other.shard.describe("g", 6), h.shard.describe("g", 6));
}

#[test]
fn an_older_client_is_not_told_that_it_leads() {
    let mut h = Harness::new();
    let token = h.join_static(8, "", "a");
    h.wait(3_000);
    let old = h.joined(token).member_id;
    let token = h.sync(&old, 1, &[(&old, "all")]);
    assert_eq!(h.synced(token).error_code, 0);
    let token = h.join_static(8, "", "a");
    let joined = h.joined(token);
    assert_eq!((joined.error_code, joined.skip_assignment), (0, false));
    assert_eq!((&joined.leader, joined.members.len()), (&old, 0));
    assert!(leader_of(&mut h, &joined.member_id));
}

#[test]
fn a_replacement_that_cannot_be_written_did_not_happen() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    h.refuse = Some(ErrorCode::NotCoordinator);
    let token = h.join_static(9, "", "a");
    assert_eq!(code(h.joined(token).error_code), ErrorCode::NotCoordinator);
    assert_eq!(h.heartbeat(&a, 1), ErrorCode::None, "the former one stands");
    assert_eq!(h.heartbeat(&b, 1), ErrorCode::None);
    // What is written next for another reason does not bring it about.
    assert_eq!(h.commit(&a, 1, 0, 3), ErrorCode::None);
    assert_eq!(h.heartbeat(&a, 1), ErrorCode::None);
}

#[test]
fn a_replacement_with_other_protocols_makes_everyone_rejoin() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    let mut request = h.join_request("");
    request.group_instance_id = Some("a".to_owned());
    request.protocols = vec![protocol("roundrobin")];
    let token = h.send(9, Request::Join(request));
    assert!(h.waits(token));
    assert_eq!(h.heartbeat(&b, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(h.heartbeat(&a, 1), ErrorCode::UnknownMemberId);
    let other = h.join_static(9, &b, "b");
    let (first, second) = (h.joined(token), h.joined(other));
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!(first.protocol_name.as_deref(), Some("roundrobin"));
}

#[test]
fn whoever_waits_under_a_static_id_is_fenced_by_the_next() {
    let mut h = Harness::new();
    let first = h.join_static(9, "", "a");
    let second = h.join_static(9, "", "a");
    assert_eq!(code(h.joined(first).error_code), ErrorCode::FencedInstanceId);
    h.wait(3_000);
    let joined = h.joined(second);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    // Between join and sync the assignment is on its way to the old id: everyone comes again.
    let third = h.join_static(9, "", "a");
    let joined_again = h.joined(third);
    assert_eq!((joined_again.error_code, joined_again.generation_id), (0, 2));
    let stale = h.sync(&joined.member_id, 1, &[]);
    assert_eq!(code(h.synced(stale).error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_is_late_keeps_its_place() {
    let mut h = Harness::new();
    let (a, _b) = h.stable_statics();
    let (newcomer, token) = h.enter();
    for _ in 0..4 {
        h.wait(9_000);
        h.heartbeat(&a, 1);
    }
    let joined = h.joined(token);
    // One was silent and is gone, one lives without joining and stays.
    assert_eq!((joined.generation_id, &joined.leader), (2, &newcomer));
    let mut ids: Vec<String> = joined.members.iter().map(|m| m.member_id.clone()).collect();
    ids.sort();
    let mut expected = vec![a, newcomer];
    expected.sort();
    assert_eq!(ids, expected);
}

#[test]
fn the_leader_that_joins_again_wants_a_new_generation_a_follower_does_not() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    let described = h.shard.describe("g", 6);
    assert_eq!(described.members.len(), 2);
    let leads = |h: &mut Harness, id: &str, instance: &str| {
        let token = h.join_static(9, id, instance);
        h.waits(token)
    };
    // One of the two leads; the other one is told the generation it has.
    let (leader, follower) = match h.shard.group("g").unwrap().leader.as_deref() == Some(&*a) {
        true => ((a.as_str(), "a"), (b.as_str(), "b")),
        false => ((b.as_str(), "b"), (a.as_str(), "a")),
    };
    let token = h.join_static(9, follower.0, follower.1);
    let joined = h.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (1, 0));
    assert!(leads(&mut h, leader.0, leader.1));
    assert_eq!(h.heartbeat(follower.0, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_follower_with_a_new_subscription_makes_everyone_rejoin() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, second_join) = h.enter();
    let first_join = h.join(&first);
    h.joined(first_join);
    h.joined(second_join);
    // Between join and sync, the same join again is answered again, another one is news.
    let again = h.join(&second);
    assert_eq!(h.joined(again).generation_id, 2);
    let mut request = h.join_request(&second);
    request.protocols[0].metadata = Bytes::from_static(b"more topics");
    let news = h.send(9, Request::Join(request));
    assert!(h.waits(news));
    let first_join = h.join(&first);
    assert_eq!(h.joined(first_join).generation_id, 3);
    assert_eq!(h.joined(news).generation_id, 3);
}

#[test]
fn members_leave_together_each_with_its_own_answer() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    let codes = h.leave_several(&[
        ("", Some("a")),
        ("", Some("nobody")),
        (&a, Some("b")),
        ("stranger", None),
        ("", None),
    ]);
    let expected = [
        ErrorCode::None,
        ErrorCode::UnknownMemberId,
        ErrorCode::FencedInstanceId,
        ErrorCode::UnknownMemberId,
        ErrorCode::UnknownMemberId,
    ];
    assert_eq!(codes, expected);
    assert_eq!(h.heartbeat(&b, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(h.leave_several(&[(&b, Some("b"))]), [ErrorCode::None]);
    assert_eq!(h.shard.describe("g", 6).group_state, "Empty");
}

#[test]
fn a_group_that_became_too_small_loses_the_last_ones() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    h.config.group_members_max = 1;
    let mut h = h.reload();
    assert_eq!(h.heartbeat(&a, 1), ErrorCode::RebalanceInProgress, "all come back");
    let first = h.join_static(9, &b, "b");
    let second = h.join_static(9, &a, "a");
    let refused = h.joined(second);
    assert_eq!(code(refused.error_code), ErrorCode::GroupMaxSizeReached);
    assert_eq!(refused.member_id, "");
    let joined = h.joined(first);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
}

#[test]
fn a_member_that_waits_for_its_assignment_outlives_its_session() {
    let mut h = Harness::new();
    let (a, b) = h.stable_statics();
    let joins = [h.join_static(9, &a, "a"), h.join_static(9, &b, "b")];
    let mut leader = String::new();
    for token in joins {
        match h.replies.contains_key(&token) {
            true => leader = h.joined(token).leader,
            false => panic!("both are here"),
        }
    }
    let follower = if leader == a { b } else { a };
    let waits = h.sync(&follower, 2, &[]);
    for _ in 0..2 {
        h.wait(9_000);
        assert_eq!(h.heartbeat(&leader, 2), ErrorCode::None);
    }
    let leads = h.sync(&leader, 2, &[(&follower, "x")]);
    assert_eq!(h.synced(leads).error_code, 0);
    assert_eq!(h.synced(waits).assignment, "x");
    // From then on it has a whole session.
    h.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(h.heartbeat(&follower, 2), ErrorCode::None);
}

#[test]
fn the_members_of_a_shard_take_so_much_and_no_more() {
    let mut h = Harness::new();
    let megabytes = |h: &Harness, group: &str, count: usize| JoinGroupRequest {
        group_id: group.to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from(vec![0; count << 20]),
        }],
        ..h.join_request("")
    };
    let first = megabytes(&h, "g", 40);
    let token = h.send(3, Request::Join(first));
    assert!(h.waits(token));
    let second = megabytes(&h, "other", 40);
    let refused = h.send(3, Request::Join(second));
    assert_eq!(code(h.joined(refused).error_code), ErrorCode::GroupMaxSizeReached);
    let small = megabytes(&h, "third", 10);
    let fits = h.send(3, Request::Join(small));
    assert!(h.waits(fits));
    // Nothing is left of what was given up.
    h.wait(3_000);
    let id = h.joined(token).member_id;
    h.leave(&id);
    h.joined(fits);
    let second = megabytes(&h, "other", 40);
    let fits = h.send(3, Request::Join(second));
    assert!(h.waits(fits));
}

#[test]
fn a_client_that_hangs_up_has_a_session_to_come_back() {
    let mut h = Harness::new();
    let first = h.stable();
    let (second, token) = h.enter();
    h.wait(2_000);
    h.shard.cancel(h.now, "g", token);
    assert_eq!(h.heartbeat(&first, 1), ErrorCode::RebalanceInProgress);
    let first_join = h.join(&first);
    assert!(h.waits(first_join), "the other one may come back");
    h.wait(i64::from(SESSION_MS) - 1);
    assert!(h.waits(first_join));
    h.wait(1);
    let joined = h.joined(first_join);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(h.heartbeat(&second, 2), ErrorCode::UnknownMemberId);
}

#[test]
fn sync_says_which_protocol_the_member_believes_in() {
    let mut h = Harness::new();
    let id = h.stable();
    let sync = |h: &mut Harness, version, kind: Option<&str>, name: Option<&str>| {
        let request = SyncGroupRequest {
            group_id: "g".to_owned(),
            generation_id: 1,
            member_id: id.clone(),
            protocol_type: kind.map(str::to_owned),
            protocol_name: name.map(str::to_owned),
            ..Default::default()
        };
        let token = h.send(version, Request::Sync(request));
        code(h.synced(token).error_code)
    };
    assert_eq!(sync(&mut h, 5, Some("consumer"), Some("range")), ErrorCode::None);
    assert_eq!(sync(&mut h, 4, None, None), ErrorCode::None);
    for (kind, name) in [(None, Some("range")), (Some("consumer"), None)] {
        assert_eq!(sync(&mut h, 5, kind, name), ErrorCode::InconsistentGroupProtocol);
    }
    let wrong = [(Some("connect"), Some("range")), (Some("consumer"), Some("sticky"))];
    for (kind, name) in wrong {
        assert_eq!(sync(&mut h, 5, kind, name), ErrorCode::InconsistentGroupProtocol);
    }
}
