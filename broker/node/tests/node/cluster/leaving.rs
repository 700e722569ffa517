//! Voters that are to go while others are out of reach.

use tidelog_node::ControlResponse;
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::remove_raft_voter_request::RemoveRaftVoterRequest;

use super::world::World;

/// A client of this node asks that a voter goes.
fn remove(world: &mut World, at: usize, who: usize) -> ErrorCode {
    let voters = world.node(at).control_status().voters.clone();
    let voter = voters.iter().find(|voter| voter.id == BrokerId(who as i32)).unwrap();
    let request = RemoveRaftVoterRequest {
        cluster_id: Some(world.node(at).cluster_id().to_owned()),
        voter_id: voter.id.0,
        voter_directory_id: voter.directory,
    };
    let token = world.ask(at, request);
    world.until("an answer", 40_000, |world| world.answers.contains_key(&token));
    match &world.answers[&token] {
        ControlResponse::RemoveRaftVoter(answer) => ErrorCode::from_i16(answer.error_code).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_voter_stays_while_those_that_remain_could_not_decide() {
    let mut world = World::new(3, 11);
    let leader = world.settle();
    world.until("the voters are known by their disks", 10_000, |world| {
        let voters = world.node(leader).control_status().voters.clone();
        voters.iter().all(|voter| !voter.directory.is_zero())
    });
    world.agree();
    let (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
    world.kill(lost);
    // Longer than a voter may be silent.
    world.run(3_000);
    // With it gone for good, two voters of which one is lost would wait for it for ever.
    for at in [other, leader] {
        assert_eq!(remove(&mut world, leader, at), ErrorCode::RequestTimedOut);
    }
    assert_eq!(world.node(leader).control_status().voters.len(), 3);
    assert_eq!(world.create(other, "orders"), ErrorCode::None);
    // The lost one may go, and then one of the two that remain.
    assert_eq!(remove(&mut world, other, lost), ErrorCode::None);
    assert_eq!(remove(&mut world, leader, other), ErrorCode::None);
    assert_eq!(world.node(leader).control_status().voters.len(), 1);
    assert_eq!(world.create(other, "payments"), ErrorCode::None);
}
