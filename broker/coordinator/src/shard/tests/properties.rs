//! Any sequence of requests: nobody is answered twice, nobody is forgotten, and the log says what
//! the shard knows.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Newcomer { old_client: bool, instance: bool },
    Rejoin(usize),
    Sync(usize, bool),
    Heartbeat(usize),
    Leave(usize),
    Commit(usize, i64),
    Wait(i64),
    RefuseNext,
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0usize..5;
    let newcomer = any::<(bool, bool)>()
        .prop_map(|(old_client, instance)| Op::Newcomer { old_client, instance });
    prop_oneof![
        2 => newcomer,
        4 => who.clone().prop_map(Op::Rejoin),
        4 => (who.clone(), any::<bool>()).prop_map(|(w, g)| Op::Sync(w, g)),
        2 => who.clone().prop_map(Op::Heartbeat),
        1 => who.clone().prop_map(Op::Leave),
        2 => (who, 0i64..99).prop_map(|(w, o)| Op::Commit(w, o)),
        3 => (0i64..12_000).prop_map(Op::Wait),
        1 => Just(Op::RefuseNext),
        1 => Just(Op::Reload),
    ]
}

/// The members that the clients believe in, with the generation they know.
#[derive(Default)]
struct Clients {
    members: Vec<(String, i32)>,
    waiting: Vec<Token>,
}

impl Clients {
    fn get(&self, who: usize) -> Option<(String, i32)> {
        let at = who.checked_rem(self.members.len())?;
        self.members.get(at).cloned()
    }

    /// Takes the answers that have come.
    fn collect(&mut self, h: &mut Harness) {
        for (token, response) in std::mem::take(&mut h.replies) {
            self.waiting.retain(|waiting| *waiting != token);
            if let Response::Join(joined) = response {
                let known = [0, ErrorCode::MemberIdRequired.code()].contains(&joined.error_code);
                if known {
                    self.members.retain(|(id, _)| *id != joined.member_id);
                    self.members.push((joined.member_id, joined.generation_id));
                }
            }
        }
    }
}

fn run(h: &mut Harness, clients: &mut Clients, op: &Op) {
    match op {
        Op::Newcomer { old_client, instance } => {
            let mut request = h.join_request("");
            request.group_instance_id = instance.then(|| "i".to_owned());
            let version = if *old_client && !instance { 3 } else { 9 };
            clients.waiting.push(h.send(version, Request::Join(request)));
        }
        Op::Rejoin(who) => {
            if let Some((id, _)) = clients.get(*who) {
                clients.waiting.push(h.join(&id));
            }
        }
        Op::Sync(who, wrong) => {
            if let Some((id, generation)) = clients.get(*who) {
                let generation = generation + i32::from(*wrong && *who == 0);
                clients.waiting.push(h.sync(&id, generation, &[(&id, "mine")]));
            }
        }
        Op::Heartbeat(who) => {
            if let Some((id, generation)) = clients.get(*who) {
                h.heartbeat(&id, generation);
            }
        }
        Op::Leave(who) => {
            if let Some((id, _)) = clients.get(*who) {
                h.leave(&id);
            }
        }
        Op::Commit(who, offset) => {
            if let Some((id, generation)) = clients.get(*who) {
                let before = h.offset(0);
                let done = h.commit(&id, generation, 0, *offset);
                let expected = if done == ErrorCode::None { *offset } else { before };
                assert_eq!(h.offset(0), expected);
            }
        }
        Op::Wait(ms) => h.wait(*ms),
        Op::RefuseNext => h.refuse = Some(ErrorCode::NotCoordinator),
        Op::Reload => {
            let next = h.reload();
            let old = std::mem::replace(h, next);
            h.next_token = old.next_token;
            for reply in old.shard.abandon(ErrorCode::NotCoordinator) {
                h.replies.insert(reply.token, reply.response);
            }
            h.replies.extend(old.replies);
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_promises(ops in prop::collection::vec(op(), 1..80)) {
        let mut h = Harness::new();
        let mut clients = Clients::default();
        for op in &ops {
            run(&mut h, &mut clients, op);
            clients.collect(&mut h);
            // What the log says is what the shard knows.
            let mut other = h.reload();
            prop_assert_eq!(other.offset(0), h.offset(0));
            clients.collect(&mut h);
            let ours = h.shard.describe("g", 6);
            if ours.group_state == "Stable" {
                prop_assert_eq!(other.shard.describe("g", 6).members.len(), ours.members.len());
            }
        }
        h.refuse = None;
        // In the end everyone is answered: no client waits for ever.
        for _ in 0..20 {
            h.wait(301_000);
            clients.collect(&mut h);
        }
        prop_assert!(clients.waiting.is_empty(), "{:?} wait for ever", clients.waiting);
        prop_assert_eq!(h.shard.next_deadline(), None, "nothing is left to wait for");
    }
}
