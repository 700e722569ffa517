//! What a group has to do, told plainly and apart from the code that does it: one flat state that
//! is looked at deadline by deadline. Nothing here knows of records being replayed or of wakes.

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;

use super::Token;

mod requests;

const NEWCOMER_MS: i64 = 300_000;

/// An answer, as far as it counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Join(Joined),
    Sync(ErrorCode, String),
    Beat(ErrorCode),
    Leave(ErrorCode, Vec<ErrorCode>),
    Commit(ErrorCode),
    Delete(ErrorCode),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joined {
    pub(super) code: ErrorCode,
    pub(super) id: String,
    pub(super) generation: i32,
    pub(super) leader: String,
    pub(super) members: Vec<String>,
    pub(super) skip: bool,
}

/// What a member sends to join.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) version: i16,
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) kind: String,
    pub(super) protocols: Vec<&'static str>,
    pub(super) session_ms: i64,
    pub(super) rebalance_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Person {
    ask: Ask,
    assignment: String,
    joins: Option<Token>,
    syncs: Option<Token>,
    /// Has never been in a generation.
    fresh: bool,
    until_ms: i64,
}

#[derive(Clone, Debug)]
enum Write {
    Assigned(BTreeMap<String, String>),
    Emptied,
    Replaced { former: String, id: String, by: Box<Person> },
    Gone,
    Offset(i32, Option<i64>),
}

/// What a reload finds.
#[derive(Clone, Debug)]
struct Written {
    generation: i32,
    kind: String,
    protocol: Option<&'static str>,
    leader: String,
    since_ms: i64,
    people: BTreeMap<String, Person>,
}

/// One group.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) now_ms: i64,
    pub(super) state: &'static str,
    pub(super) generation: i32,
    pub(super) leader: String,
    pub(super) people: BTreeMap<String, Person>,
    /// Partition, offset, and when it was committed.
    pub(super) offsets: BTreeMap<i32, (i64, i64)>,
    pub(super) said: BTreeMap<Token, Said>,
    /// The next write is refused with this.
    pub(super) refuse: Option<ErrorCode>,
    pub(super) size_max: usize,
    pub(super) delay_ms: i64,
    pub(super) retention_ms: i64,
    kind: String,
    protocol: Option<&'static str>,
    since_ms: i64,
    pending: BTreeMap<String, i64>,
    join_until_ms: Option<i64>,
    /// The first generation: how much longer it may wait, and whether someone came.
    first: Option<(i64, bool)>,
    sync_until_ms: Option<i64>,
    unsynced: BTreeSet<String>,
    written: Option<Written>,
    saying: BTreeMap<Token, Said>,
    writes: Vec<Write>,
}

impl Model {
    pub(super) fn new(size_max: usize, delay_ms: i64, retention_ms: i64, now_ms: i64) -> Self {
        Self {
            now_ms,
            state: "Empty",
            generation: 0,
            leader: String::new(),
            people: BTreeMap::new(),
            offsets: BTreeMap::new(),
            said: BTreeMap::new(),
            refuse: None,
            size_max,
            delay_ms,
            retention_ms,
            kind: String::new(),
            protocol: None,
            since_ms: now_ms,
            pending: BTreeMap::new(),
            join_until_ms: None,
            first: None,
            sync_until_ms: None,
            unsynced: BTreeSet::new(),
            written: None,
            saying: BTreeMap::new(),
            writes: Vec::new(),
        }
    }

    /// Whether anything of the group is known but its offsets.
    pub(super) fn exists(&self) -> bool {
        self.state != "Empty" || self.generation > 0 || !self.pending.is_empty()
    }

    /// One decision has been made: it is written or refused, then whatever is due at once is done.
    pub(super) fn decided(&mut self) {
        self.settle();
        self.pass(self.now_ms);
    }

    pub(super) fn pass(&mut self, to_ms: i64) {
        while let Some(at) = self.next_due().filter(|at| *at <= to_ms) {
            self.now_ms = at.max(self.now_ms);
            while self.next_due().is_some_and(|at| at <= self.now_ms) {
                self.due();
            }
            self.settle();
        }
        self.now_ms = to_ms;
    }

    fn settle(&mut self) {
        let writes = std::mem::take(&mut self.writes);
        let mut saying = std::mem::take(&mut self.saying);
        match self.refuse.take_if(|_| !writes.is_empty()) {
            Some(code) => saying.values_mut().for_each(|said| said.refuse(code)),
            None => writes.into_iter().for_each(|write| self.write(write)),
        }
        self.said.extend(saying);
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Offset(partition, Some(offset)) => {
                self.offsets.insert(partition, (offset, self.now_ms));
                return;
            }
            Write::Offset(partition, None) => {
                self.offsets.remove(&partition);
                return;
            }
            Write::Gone => {
                self.forget();
                self.written = None;
                return;
            }
            Write::Assigned(assignments) => {
                for (id, person) in &mut self.people {
                    person.assignment = assignments.get(id).cloned().unwrap_or_default();
                }
                self.state = "Stable";
            }
            Write::Replaced { former, id, by } => self.put(&former, &id, *by),
            Write::Emptied => {}
        }
        self.written = Some(Written {
            generation: self.generation,
            kind: self.kind.clone(),
            protocol: self.protocol,
            leader: self.leader.clone(),
            since_ms: self.since_ms,
            people: self.people.clone(),
        });
    }

    fn forget(&mut self) {
        let fresh = Self::new(self.size_max, self.delay_ms, self.retention_ms, self.now_ms);
        let old = std::mem::replace(self, fresh);
        self.offsets = old.offsets;
        self.said = old.said;
        self.refuse = old.refuse;
        self.written = old.written;
        self.saying = old.saying;
        self.writes = old.writes;
    }

    /// Another node takes over: who waited is forgotten, what was written is known.
    pub(super) fn reload(&mut self) {
        self.forget();
        self.said.clear();
        let Some(written) = self.written.clone() else { return };
        self.generation = written.generation;
        self.kind = written.kind;
        self.protocol = written.protocol;
        self.leader = written.leader;
        self.since_ms = written.since_ms;
        self.people = written.people;
        for person in self.people.values_mut() {
            person.joins = None;
            person.syncs = None;
            person.fresh = false;
            person.until_ms = self.now_ms + person.ask.session_ms;
            person.ask.protocols = self.protocol.into_iter().collect();
        }
        if !self.people.is_empty() {
            self.state = "Stable";
        }
        if self.people.len() > self.size_max {
            self.rebalance();
        }
    }

    /// Whoever waits under the token has hung up.
    pub(super) fn hang_up(&mut self, token: Token) {
        for person in self.people.values_mut() {
            let join = person.joins.take_if(|t| *t == token);
            if person.syncs.take_if(|t| *t == token).or(join).is_some() {
                person.until_ms = self.now_ms + person.ask.session_ms;
            }
        }
    }

    fn next_due(&self) -> Option<i64> {
        let people = self.people.values();
        let waits = |p: &Person| p.joins.is_some() || p.syncs.is_some();
        let people = people.filter(|p| p.fresh || !waits(p)).map(|p| p.until_ms);
        let phases = self.join_until_ms.into_iter().chain(self.sync_until_ms);
        people.chain(self.pending.values().copied()).chain(phases).min()
    }

    fn due(&mut self) {
        let now = self.now_ms;
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        let given_up = before != self.pending.len();
        let waits = |p: &Person| p.joins.is_some() || p.syncs.is_some();
        let late = |p: &Person| p.until_ms <= now && (p.fresh || !waits(p));
        let mut gone: BTreeSet<String> =
            self.people.iter().filter(|(_, p)| late(p)).map(|(id, _)| id.clone()).collect();
        if self.sync_until_ms.is_some_and(|until| until <= now) {
            self.sync_until_ms = None;
            gone.append(&mut self.unsynced);
        }
        let mut removed = false;
        for id in gone {
            removed |= self.remove(&id, ErrorCode::UnknownMemberId);
        }
        if removed && self.state != "PreparingRebalance" {
            self.rebalance();
        } else if removed || given_up {
            self.complete_if_all_here();
        }
        if self.join_until_ms.is_some_and(|until| until <= now) {
            match self.first {
                Some((left, true)) if left > 0 && self.delay_ms > 0 => {
                    let more = self.delay_ms.min(left);
                    self.join_until_ms = Some(now + more);
                    self.first = Some((left - more, false));
                }
                _ => self.complete(),
            }
        }
    }

    fn say(&mut self, token: Token, said: Said) {
        let earlier = self.saying.insert(token, said);
        assert!(earlier.is_none(), "the model answers {token} twice");
    }

    fn say_join(&mut self, token: Token, id: &str, code: ErrorCode) {
        let (id, leader, members) = (id.to_owned(), String::new(), Vec::new());
        let said = Joined { code, id, generation: -1, leader, members, skip: false };
        self.say(token, Said::Join(said));
    }

    fn say_generation(&mut self, token: Token, id: &str) {
        let members = match self.leader == id {
            true => self.people.keys().cloned().collect(),
            false => Vec::new(),
        };
        let said = Joined {
            code: ErrorCode::None,
            id: id.to_owned(),
            generation: self.generation,
            leader: self.leader.clone(),
            members,
            skip: false,
        };
        self.say(token, Said::Join(said));
    }

    fn rebalance_ms(&self) -> i64 {
        self.people.values().map(|p| p.ask.rebalance_ms).max().unwrap_or(0)
    }

    fn waiting(&self) -> usize {
        self.people.values().filter(|p| p.joins.is_some()).count()
    }

    fn rebalance(&mut self) {
        let waiting: Vec<Token> = self.people.values_mut().filter_map(|p| p.syncs.take()).collect();
        for token in waiting {
            self.say(token, Said::Sync(ErrorCode::RebalanceInProgress, String::new()));
        }
        if self.state == "CompletingRebalance" {
            self.people.values_mut().for_each(|p| p.assignment.clear());
        }
        self.unsynced.clear();
        self.sync_until_ms = None;
        let time = self.rebalance_ms();
        self.first = (self.state == "Empty").then_some(((time - self.delay_ms).max(0), false));
        let wait = if self.first.is_some() { self.delay_ms } else { time };
        self.join_until_ms = Some(self.now_ms + wait);
        self.state = "PreparingRebalance";
        self.since_ms = self.now_ms;
        self.go_on();
    }

    /// Someone came or went: a first generation takes its time all the same.
    fn go_on(&mut self) {
        if self.first.is_none() {
            self.complete_if_all_here();
        }
    }

    fn complete_if_all_here(&mut self) {
        let all = self.waiting() == self.people.len() && self.pending.is_empty();
        if self.state == "PreparingRebalance" && all {
            self.complete();
        }
    }

    fn complete(&mut self) {
        self.people.retain(|_, p| p.joins.is_some() || p.ask.instance.is_some());
        let here = |p: &Person| p.joins.is_some();
        if !self.people.get(&self.leader).is_some_and(here) {
            let next = self.people.iter().find(|(_, p)| here(p)).map(|(id, _)| id.clone());
            self.leader = next.unwrap_or_default();
        }
        if self.leader.is_empty() && !self.people.is_empty() {
            self.join_until_ms = Some(self.now_ms + self.rebalance_ms().max(1));
            self.first = None;
            return;
        }
        self.generation += 1;
        self.join_until_ms = None;
        self.first = None;
        self.since_ms = self.now_ms;
        if self.people.is_empty() {
            self.state = "Empty";
            self.protocol = None;
            self.leader.clear();
            self.writes.push(Write::Emptied);
            return;
        }
        self.state = "CompletingRebalance";
        self.protocol = self.choose();
        self.unsynced = self.people.keys().cloned().collect();
        self.sync_until_ms = Some(self.now_ms + self.rebalance_ms());
        let mut waiting = Vec::new();
        for (id, person) in &mut self.people {
            person.fresh = false;
            person.until_ms = self.now_ms + person.ask.session_ms;
            waiting.extend(person.joins.take().map(|token| (token, id.clone())));
        }
        for (token, id) in waiting {
            self.say_generation(token, &id);
        }
    }

    fn can_all(&self, protocol: &str) -> bool {
        self.people.values().all(|p| p.ask.protocols.contains(&protocol))
    }

    /// What most prefer of what all can; among equals as the leader likes.
    fn choose(&self) -> Option<&'static str> {
        let first = |p: &Person| p.ask.protocols.iter().copied().find(|name| self.can_all(name));
        let mut votes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for name in self.people.values().filter_map(first) {
            *votes.entry(name).or_default() += 1;
        }
        let most = *votes.values().max()?;
        let mut likes: Vec<&'static str> =
            self.people.get(&self.leader).map(|p| p.ask.protocols.clone()).unwrap_or_default();
        likes.extend(votes.keys());
        likes.into_iter().find(|name| votes.get(name) == Some(&most))
    }

    fn remove(&mut self, id: &str, code: ErrorCode) -> bool {
        let Some(person) = self.people.remove(id) else { return false };
        self.unsynced.remove(id);
        if let Some(token) = person.joins {
            self.say_join(token, "", code);
        }
        if let Some(token) = person.syncs {
            self.say(token, Said::Sync(code, String::new()));
        }
        if self.leader == id {
            self.leader = self.people.keys().next().cloned().unwrap_or_default();
        }
        true
    }

    fn put(&mut self, former: &str, id: &str, by: Person) {
        self.people.remove(former);
        self.people.insert(id.to_owned(), by);
        if self.leader == former {
            id.clone_into(&mut self.leader);
        }
        if self.unsynced.remove(former) {
            self.unsynced.insert(id.to_owned());
        }
    }

    fn by_instance(&self, instance: &str) -> Option<String> {
        let found = self.people.iter().find(|(_, p)| p.ask.instance.as_deref() == Some(instance));
        found.map(|(id, _)| id.clone())
    }

    fn check(&self, id: &str, instance: Option<&str>) -> ErrorCode {
        match instance.map(|instance| self.by_instance(instance)) {
            Some(None) => ErrorCode::UnknownMemberId,
            Some(Some(holder)) if holder != id => ErrorCode::FencedInstanceId,
            _ if self.people.contains_key(id) => ErrorCode::None,
            _ => ErrorCode::UnknownMemberId,
        }
    }

    fn check_generation(&self, id: &str, instance: Option<&str>, generation: i32) -> ErrorCode {
        match self.check(id, instance) {
            ErrorCode::None if generation != self.generation => ErrorCode::IllegalGeneration,
            code => code,
        }
    }
}

impl Said {
    fn refuse(&mut self, with: ErrorCode) {
        match self {
            Self::Join(joined) => {
                joined.code = with;
                joined.generation = -1;
                joined.leader.clear();
                joined.members.clear();
                joined.skip = false;
            }
            Self::Sync(code, assignment) => {
                *code = with;
                assignment.clear();
            }
            Self::Commit(code) if *code != ErrorCode::None => {}
            Self::Beat(code) | Self::Leave(code, _) | Self::Commit(code) | Self::Delete(code) => {
                *code = with;
            }
        }
    }
}
