//! The state of the model: three real quorums, their disks, what is on its way between them, and
//! what is true of the whole. Two histories that lead to the same situation give the same state:
//! after every step a node's times, ids and randomness are brought into one form. A timer is due
//! or not, what happened was now or long ago; which of the two is all that the model knows of time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::Batch;

use super::super::super::Role;
use super::super::super::outbox::Asked;
use super::node::{
    LONG, NODES, Node, Print, Question, STALE_PRINT, index, key, map_times, open, step, voter,
};
use crate::{
    Body, Destination, Effect, Event, LogEntry, Payload, Request, Response, Voter, Voters, entries,
};

/// What is true of the whole, gathered from what the nodes do.
#[derive(Clone, Default, Debug, Hash)]
pub(super) struct Truth {
    pub(super) leaders: BTreeMap<i32, usize>,
    /// By offset: the epoch, and the check sum of the batch.
    pub(super) committed: Vec<(i32, u32)>,
    /// How much was committed by the end of each epoch.
    commits: BTreeMap<i32, usize>,
    /// What should never happen.
    pub(super) broken: Option<&'static str>,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) proposals: u8,
    pub(super) changes: u8,
    pub(super) crashes: u8,
    /// Whose timers run.
    pub(super) restless: [bool; NODES],
    /// Who may crash.
    pub(super) fragile: [bool; NODES],
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) nodes: [Arc<Node>; NODES],
    /// Answers that had to wait for a disk: to whom, to which question.
    responses: Vec<(usize, u64, Response)>,
    /// Questions whose asker does not wait any more.
    stale: Vec<(usize, Request)>,
    stale_max: usize,
    /// Whether a fetch brings one batch at a time.
    pub(super) piecemeal: bool,
    pub(super) left: Left,
    pub(super) truth: Truth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// All its timers are due, all that it heard is long ago.
    Timeout(usize),
    Propose(usize),
    Remove(usize, usize),
    Add(usize, usize),
    /// A question arrives; an answer that needs no disk does too, or is lost.
    Exchange {
        from: usize,
        id: u64,
        lost: bool,
    },
    /// An answer that had to wait arrives.
    Answer(usize),
    /// A question arrives whose asker does not wait any more.
    Stale(usize),
    /// One who knows no leader asks another.
    Find(usize, usize),
    Persisted(usize),
    Flushed(usize),
    /// It stops and starts; what was not flushed is lost with the power.
    Crash {
        at: usize,
        power: bool,
    },
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.nodes.iter().for_each(|node| node.print.hash(hasher));
        let mut print = Print(DefaultHasher::new());
        write!(print, "{:?}{:?}", self.responses, self.stale).unwrap();
        (print.0.finish(), self.left, &self.truth).hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let prints = |world: &Self| world.nodes.each_ref().map(|node| node.print);
        let rest = |world: &Self| format!("{:?}{:?}", world.left, world.truth);
        let ways = (&self.responses, &self.stale) == (&other.responses, &other.stale);
        prints(self) == prints(other) && rest(self) == rest(other) && ways
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for node in &self.nodes {
            let quorum = &node.quorum;
            let (role, epoch, end) = (quorum.role(), quorum.epoch(), quorum.log_end());
            write!(f, "{role:?} in {epoch} end {end} hw {}; ", quorum.high_watermark())?;
        }
        write!(f, "{:?}", self.truth)
    }
}

impl World {
    /// Three voters that have just begun.
    pub(super) fn new(left: Left, stale_max: usize) -> Self {
        let nodes = [0, 1, 2].map(|at| Arc::new(Node::new(at)));
        let (responses, stale) = (Vec::new(), Vec::new());
        let truth = Truth::default();
        Self { nodes, responses, stale, stale_max, piecemeal: false, left, truth }
    }

    pub(super) fn epoch(&self) -> i32 {
        self.nodes.iter().map(|node| node.quorum.epoch().0).max().unwrap()
    }

    pub(super) fn actions(&self, actions: &mut Vec<Action>) {
        for (at, node) in self.nodes.iter().enumerate() {
            if node.disk.writing_state.is_some() {
                actions.push(Action::Persisted(at));
            }
            if node.disk.flushing.is_some() {
                actions.push(Action::Flushed(at));
            }
            // What waits at a slow disk is bounded: a message more is late.
            let arrives = |question: &Question| {
                !question.arrived && self.nodes[question.to].callers.len() < 2
            };
            for (id, question) in node.asked.iter().filter(|(_, question)| arrives(question)) {
                let (from, id) = (at, *id);
                actions.push(Action::Exchange { from, id, lost: false });
                // Of the others only what they did to the one who answers counts.
                if matches!(question.request, Request::Fetch(_)) {
                    actions.push(Action::Exchange { from, id, lost: true });
                }
            }
            self.finds(at, actions);
            if self.left.restless[at] {
                actions.push(Action::Timeout(at));
            }
            if self.left.crashes > 0 && self.left.fragile[at] {
                actions.push(Action::Crash { at, power: true });
                actions.push(Action::Crash { at, power: false });
            }
            if node.quorum.role() == Role::Leader {
                if self.left.proposals > 0 {
                    actions.push(Action::Propose(at));
                }
                self.changes(at, actions);
            }
        }
        actions.extend((0..self.responses.len()).map(Action::Answer));
        actions.extend((0..self.stale.len()).map(Action::Stale));
    }

    fn finds(&self, at: usize, actions: &mut Vec<Action>) {
        let quorum = &self.nodes[at].quorum;
        if !quorum.is_asking(|what| what == Asked::Find) {
            return;
        }
        for other in (0..NODES).filter(|other| *other != at) {
            let known = &self.nodes[other].quorum;
            let news = known.epoch() > quorum.epoch()
                || known.leader().is_some_and(|leader| leader != key(at).id);
            if news && known.epoch() >= quorum.epoch() && known.is_saved() {
                actions.push(Action::Find(at, other));
            }
        }
    }

    fn changes(&self, at: usize, actions: &mut Vec<Action>) {
        if self.left.changes == 0 {
            return;
        }
        let voters = self.nodes[at].quorum.voters();
        for other in 0..NODES {
            match voters.find(&key(other)) {
                Some(_) if voters.len() > 1 => actions.push(Action::Remove(at, other)),
                Some(_) => {}
                None => actions.push(Action::Add(at, other)),
            }
        }
    }

    /// Whether only nodes of a group take part, and no time-out, proposal, change, loss or crash.
    pub(super) fn is_among(&self, action: Action, group: &[usize]) -> bool {
        match action {
            Action::Exchange { from, id, lost: false } => {
                let to = self.nodes[from].asked.get(&id).map(|question| question.to);
                group.contains(&from) && to.is_some_and(|to| group.contains(&to))
            }
            Action::Answer(at) => group.contains(&self.responses[at].0),
            Action::Persisted(at) | Action::Flushed(at) => group.contains(&at),
            _ => false,
        }
    }

    /// Disks first, then answers, then questions: the elections' before the fetches, and of these
    /// the one of the follower that is most behind.
    pub(super) fn turn(&self, action: Action) -> (u8, i64) {
        match action {
            Action::Persisted(_) | Action::Flushed(_) => (0, 0),
            Action::Answer(_) => (1, 0),
            Action::Exchange { from, id, .. } => match self.nodes[from].asked.get(&id) {
                Some(Question { request: Request::Fetch(fetch), .. }) => {
                    (3, fetch.offset.0 + fetch.high_watermark.0)
                }
                Some(Question { request: Request::BeginEpoch(_), .. }) => (3, -1),
                _ => (2, 0),
            },
            _ => (4, 0),
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        self.take(action);
        // Where nothing can be lost disks may as well be done at once.
        loop {
            let fragile = |at: usize| self.left.crashes > 0 && self.left.fragile[at];
            let safe = self.nodes.iter().enumerate().filter(|(at, _)| !fragile(*at));
            let mut disks = safe.filter_map(|(at, node)| {
                let state = node.disk.writing_state.is_some().then_some(Action::Persisted(at));
                state.or(node.disk.flushing.is_some().then_some(Action::Flushed(at)))
            });
            let Some(done) = disks.next() else { break };
            self.take(done);
        }
        for node in self.nodes.iter_mut().filter(|node| node.print == STALE_PRINT) {
            Arc::make_mut(node).imprint();
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Timeout(at) => {
                let node = Arc::make_mut(&mut self.nodes[at]);
                map_times(&mut node.quorum, |time| time - LONG, |time| time - LONG);
                self.step(at, Event::Tick, None);
            }
            Action::Propose(at) => {
                self.left.proposals -= 1;
                let records = vec![Bytes::from(vec![self.left.proposals])];
                self.step(at, Event::Propose { token: 0, records }, None);
            }
            Action::Remove(at, other) => {
                self.left.changes -= 1;
                self.ask(at, Request::RemoveVoter(key(other)));
            }
            Action::Add(at, other) => {
                self.left.changes -= 1;
                let voter = voter(other);
                let (timeout_ms, ack_when_committed) = (50, false);
                let request = crate::AddVoterRequest { voter, timeout_ms, ack_when_committed };
                self.ask(at, Request::AddVoter(request));
            }
            Action::Exchange { from, id, lost } => self.exchange(from, id, lost),
            Action::Answer(at) => {
                let (to, id, response) = self.responses.remove(at);
                self.answer(to, id, response, false);
            }
            Action::Stale(at) => {
                let (to, request) = self.stale.remove(at);
                self.ask(to, request);
            }
            Action::Find(from, to) => self.find(from, to),
            Action::Persisted(at) => {
                let disk = &mut Arc::make_mut(&mut self.nodes[at]).disk;
                disk.state = disk.writing_state.take();
                self.step(at, Event::StatePersisted, None);
            }
            Action::Flushed(at) => {
                let disk = &mut Arc::make_mut(&mut self.nodes[at]).disk;
                let (upto, log) = disk.flushing.take().unwrap();
                disk.durable = log;
                self.step(at, Event::Flushed { upto }, None);
            }
            Action::Crash { at, power } => self.crash(at, power),
        }
    }

    /// A question whose answer nobody waits for.
    fn ask(&mut self, at: usize, request: Request) {
        self.request(at, None, request);
    }

    fn request(
        &mut self,
        at: usize,
        caller: Option<(usize, u64)>,
        request: Request,
    ) -> Option<Response> {
        let node = Arc::make_mut(&mut self.nodes[at]);
        let token = node.callers.keys().next_back().map_or(1, |last| last + 1);
        node.callers.insert(token, caller);
        self.step(at, Event::Request { token, cluster_id: None, request }, Some(token))
    }

    fn exchange(&mut self, from: usize, id: u64, lost: bool) {
        let question = self.nodes[from].asked.get(&id).unwrap().clone();
        match self.request(question.to, Some((from, id)), question.request) {
            Some(response) => self.answer(from, id, response, lost),
            None => {
                let node = Arc::make_mut(&mut self.nodes[from]);
                node.asked.get_mut(&id).unwrap().arrived = true;
                node.print = STALE_PRINT;
            }
        }
    }

    fn answer(&mut self, to: usize, id: u64, response: Response, lost: bool) {
        let event = match lost {
            false => Event::Response { id, response },
            true => Event::RequestFailed { id, refused: false },
        };
        self.step(to, event, None);
    }

    fn find(&mut self, from: usize, to: usize) {
        let quorum = &self.nodes[from].quorum;
        let id = quorum.sent.iter().find(|(_, sent)| sent.what == Asked::Find).map(|(id, _)| *id);
        let request = Request::Fetch(quorum.fetch_request(0));
        if let (Some(id), Some(response)) = (id, self.request(to, None, request)) {
            self.answer(from, id, response, false);
        }
    }

    fn crash(&mut self, at: usize, power: bool) {
        self.left.crashes -= 1;
        let node = Arc::make_mut(&mut self.nodes[at]);
        if power {
            node.disk.log = node.disk.durable.clone();
        }
        node.disk.writing_state = None;
        node.disk.flushing = None;
        node.quorum = open(at, &node.disk);
        node.applied = Offset(0);
        let asked = std::mem::take(&mut node.asked);
        let callers = std::mem::take(&mut node.callers);
        asked.into_values().for_each(|question| self.outlives(question));
        self.forget(at, |_| true);
        self.step(at, Event::Start, None);
        for (from, id) in callers.into_values().flatten() {
            self.step(from, Event::RequestFailed { id, refused: false }, None);
        }
    }

    /// A question on its way outlives the interest of its asker: a few of those that could do
    /// harm.
    fn outlives(&mut self, question: Question) {
        let harmful = match &question.request {
            Request::Vote(vote) => !vote.pre_vote,
            Request::Fetch(_) => true,
            _ => false,
        };
        if harmful && !question.arrived && self.stale.len() < self.stale_max {
            self.stale.push((question.to, question.request));
        }
    }

    /// Nobody waits for the answers to these questions of a node any more.
    fn forget(&mut self, at: usize, which: impl Fn(u64) -> bool) {
        self.responses.retain(|(to, id, _)| *to != at || !which(*id));
        for node in &mut self.nodes {
            let gone = |caller: &Option<(usize, u64)>| {
                caller.is_some_and(|(from, id)| from == at && which(id))
            };
            if node.callers.values().any(gone) {
                let node = Arc::make_mut(node);
                node.callers.values_mut().filter(|caller| gone(caller)).for_each(|c| *c = None);
                node.print = STALE_PRINT;
            }
        }
    }

    /// One event at one node and its effects; the answer to the request, if it is ready.
    fn step(&mut self, at: usize, event: Event, token: Option<u64>) -> Option<Response> {
        let mut answer = None;
        let node = Arc::make_mut(&mut self.nodes[at]);
        let effects = step(&mut node.quorum, event);
        let names = node.settle();
        let kept = |id: &u64| names.contains_key(id);
        let lost: Vec<u64> = node.asked.keys().filter(|id| !kept(id)).copied().collect();
        let gone: Vec<Question> = lost.iter().filter_map(|id| node.asked.remove(id)).collect();
        gone.into_iter().for_each(|question| self.outlives(question));
        if !lost.is_empty() {
            self.forget(at, |id| lost.contains(&id));
        }
        for effect in effects {
            match effect {
                Effect::Send { id, to, request } => self.send(at, names.get(&id), &to, request),
                Effect::Respond { token: of, response } => {
                    let response = self.fill(at, response);
                    let node = Arc::make_mut(&mut self.nodes[at]);
                    let caller = node.callers.remove(&of).flatten();
                    match caller {
                        _ if token == Some(of) => answer = Some(response),
                        Some((to, id)) => {
                            self.responses.push((to, id, response));
                            self.responses.sort_by_key(|(to, id, _)| (*to, *id));
                        }
                        None => {}
                    }
                }
                other => self.carry_out(at, other),
            }
        }
        Arc::make_mut(&mut self.nodes[at]).print = STALE_PRINT;
        answer
    }

    fn send(&mut self, at: usize, id: Option<&u64>, to: &Destination, request: Request) {
        let Destination::Node { id: to, .. } = to else { return };
        let question = Question { to: index(*to), request, arrived: false };
        let Some(id) = id else { return self.outlives(question) };
        let node = Arc::make_mut(&mut self.nodes[at]);
        if node.quorum.sent.get(id).is_some_and(|sent| sent.what != Asked::Find) {
            node.asked.insert(*id, question);
        }
    }

    fn fill(&self, at: usize, mut response: Response) -> Response {
        if let Body::Fetch(body) = &mut response.body
            && let Payload::Log { from, upto, .. } = body.records
        {
            let wanted = |batch: &&Batch| {
                let header = batch.header();
                header.base_offset >= from.0 && header.last_offset() < upto.0
            };
            let wanted = self.nodes[at].disk.log.iter().filter(wanted);
            let count = if self.piecemeal { 1 } else { usize::MAX };
            let bytes: Vec<u8> = wanted.take(count).flat_map(|b| b.bytes().to_vec()).collect();
            body.records = Payload::Bytes(Bytes::from(bytes));
        }
        response
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::PersistState { file } => {
                Arc::make_mut(&mut self.nodes[at]).disk.writing_state = Some(file);
            }
            Effect::Append { batch, .. } => self.append(at, &Batch::parse(&batch).unwrap()),
            Effect::Flush { upto } => {
                let disk = &mut Arc::make_mut(&mut self.nodes[at]).disk;
                disk.flushing = Some((upto, disk.log.clone()));
            }
            Effect::Truncate { end } => {
                let node = Arc::make_mut(&mut self.nodes[at]);
                node.disk.log.retain(|batch| batch.header().last_offset() < end.0);
                if end < node.applied {
                    self.truth.broken = Some("committed records are cut");
                }
            }
            Effect::Elected { epoch, .. } => self.elected(at, epoch),
            Effect::Committed { upto } => self.committed(at, upto),
            Effect::Fatal { .. } => self.truth.broken = Some("a node stops"),
            _ => {}
        }
    }

    fn elected(&mut self, at: usize, epoch: LeaderEpoch) {
        if self.truth.leaders.insert(epoch.0, at).is_some() {
            self.truth.broken = Some("two leaders of one epoch");
        }
        let Some((_, end)) = self.truth.commits.range(..epoch.0).next_back() else { return };
        let last = end - 1;
        let found = Node::batch_at(&self.nodes[at].disk.log, i64::try_from(last).unwrap());
        if found != self.truth.committed.get(last).copied() {
            self.truth.broken = Some("a leader lacks a committed record");
        }
    }

    /// A leader's change of the voters follows a committed one, and is of one voter.
    fn append(&mut self, at: usize, batch: &Batch) {
        let node = Arc::make_mut(&mut self.nodes[at]);
        let named = |batch: &Batch| {
            entries(batch).unwrap().into_iter().find_map(|entry| match entry {
                LogEntry::Voters { offset, voters } => Some((offset, voters)),
                _ => None,
            })
        };
        let before = node.disk.log.iter().rev().find_map(named);
        node.disk.log.push(batch.clone());
        if node.quorum.role() != Role::Leader {
            return;
        }
        if let (Some((offset, before)), Some((_, after))) = (before, named(batch)) {
            let settled = usize::try_from(offset.0).unwrap() < self.truth.committed.len();
            let not_in = |a: &Voters, b: &Voters| {
                a.iter().filter(|v| !b.contains(v.id, v.directory)).count()
            };
            if !settled || not_in(&before, &after) + not_in(&after, &before) > 1 {
                self.truth.broken = Some("two changes of the voters at once");
            }
        }
    }

    fn committed(&mut self, at: usize, upto: Offset) {
        let node = Arc::make_mut(&mut self.nodes[at]);
        let from = std::mem::replace(&mut node.applied, upto).0;
        let node = &self.nodes[at];
        let truth = &mut self.truth;
        for offset in from..upto.0 {
            let Some(found) = Node::batch_at(&node.disk.log, offset) else {
                truth.broken = Some("what is committed is not in the log");
                return;
            };
            match truth.committed.get(usize::try_from(offset).unwrap()) {
                Some(known) if *known != found => {
                    truth.broken = Some("a committed record is replaced");
                }
                Some(_) => {}
                None => {
                    truth.committed.push(found);
                    truth.commits.insert(node.quorum.epoch().0, truth.committed.len());
                }
            }
        }
        let holds = |voter: &&Voter| {
            let log = &self.nodes[index(voter.id)].disk.durable;
            Node::batch_at(log, upto.0 - 1) == Node::batch_at(&node.disk.log, upto.0 - 1)
        };
        let voters = node.quorum.voters();
        let leads = node.quorum.role() == Role::Leader;
        if leads && voters.iter().filter(holds).count() < voters.majority() {
            truth.broken = Some("committed without a majority's disks");
        }
    }

    /// Logs that agree on a record agree on all before it.
    pub(super) fn logs_match(&self) -> bool {
        let same = |(a, b): &(&Batch, &Batch)| {
            a.header().partition_leader_epoch == b.header().partition_leader_epoch
                && a.header().base_offset == b.header().base_offset
        };
        [(0, 1), (0, 2), (1, 2)].iter().all(|(one, other)| {
            let pairs = self.nodes[*one].disk.log.iter().zip(&self.nodes[*other].disk.log);
            let pairs: Vec<_> = pairs.collect();
            let met = pairs.iter().rposition(same).map_or(0, |last| last + 1);
            pairs[..met].iter().all(|pair| same(pair) && pair.0.header().crc == pair.1.header().crc)
        })
    }
}
