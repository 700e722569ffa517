//! What the group does when asked.

use super::*;

impl Model {
    pub(in super::super) fn join(&mut self, token: Token, ask: &Ask, new_id: &str) {
        if let Err((id, code)) = self.try_join(token, ask, new_id) {
            self.say_join(token, &id, code);
        }
    }

    fn try_join(
        &mut self,
        token: Token,
        ask: &Ask,
        new_id: &str,
    ) -> Result<(), (String, ErrorCode)> {
        let refuse = |code| Err((ask.id.clone(), code));
        if !ask.id.is_empty() && !self.exists() {
            return refuse(ErrorCode::UnknownMemberId);
        }
        let room = match self.state {
            "Empty" => true,
            "PreparingRebalance" => {
                self.people.get(&ask.id).is_some_and(|p| p.joins.is_some())
                    || self.waiting() < self.size_max
            }
            _ => self.people.contains_key(&ask.id) || self.people.len() < self.size_max,
        };
        if !room {
            let pending = self.pending.remove(&ask.id).is_some();
            if self.remove(&ask.id, ErrorCode::GroupMaxSizeReached) || pending {
                self.go_on();
            }
            return Err((String::new(), ErrorCode::GroupMaxSizeReached));
        }
        let fits = ask.kind == self.kind && ask.protocols.iter().any(|p| self.can_all(p));
        if self.state != "Empty" && !fits {
            return refuse(ErrorCode::InconsistentGroupProtocol);
        }
        if ask.id.is_empty() {
            return self.newcomer(token, ask, new_id);
        }
        if self.pending.contains_key(&ask.id) {
            if ask.instance.is_some() {
                return refuse(ErrorCode::UnknownMemberId);
            }
            self.add(token, ask, &ask.id);
            return Ok(());
        }
        match self.check(&ask.id, ask.instance.as_deref()) {
            ErrorCode::None => self.comes_back(token, ask),
            code => return refuse(code),
        }
        Ok(())
    }

    fn newcomer(
        &mut self,
        token: Token,
        ask: &Ask,
        new_id: &str,
    ) -> Result<(), (String, ErrorCode)> {
        let former = ask.instance.as_deref().and_then(|instance| self.by_instance(instance));
        match former {
            Some(former) => self.takes_the_place(token, ask, &former, new_id),
            None if ask.instance.is_none() && ask.version >= 4 => {
                self.pending.insert(new_id.to_owned(), self.now_ms + ask.session_ms);
                return Err((new_id.to_owned(), ErrorCode::MemberIdRequired));
            }
            None => self.add(token, ask, new_id),
        }
        Ok(())
    }

    fn add(&mut self, token: Token, ask: &Ask, id: &str) {
        self.pending.remove(id);
        if self.people.is_empty() {
            self.kind.clone_from(&ask.kind);
        }
        if self.leader.is_empty() {
            id.clone_into(&mut self.leader);
        }
        let until_ms = self.now_ms + NEWCOMER_MS;
        let person = Person {
            ask: ask.clone(),
            assignment: String::new(),
            joins: Some(token),
            syncs: None,
            fresh: true,
            until_ms,
        };
        self.people.insert(id.to_owned(), person);
        if let Some((_, newcomer)) = &mut self.first {
            *newcomer = true;
        }
        self.changed();
    }

    fn changed(&mut self) {
        match self.state {
            "PreparingRebalance" => self.go_on(),
            _ => self.rebalance(),
        }
    }

    fn comes_back(&mut self, token: Token, ask: &Ask) {
        let same = self.people[&ask.id].ask.protocols == ask.protocols;
        let stands = match self.state {
            "CompletingRebalance" => same,
            "Stable" => same && self.leader != ask.id,
            _ => false,
        };
        if stands {
            return self.say_generation(token, &ask.id);
        }
        let person = self.people.get_mut(&ask.id).unwrap();
        let earlier = person.joins.replace(token);
        person.ask.protocols.clone_from(&ask.protocols);
        person.ask.session_ms = ask.session_ms;
        person.ask.rebalance_ms = ask.rebalance_ms;
        if let Some(earlier) = earlier {
            self.say_join(earlier, &ask.id, ErrorCode::RebalanceInProgress);
        }
        self.changed();
    }

    fn takes_the_place(&mut self, token: Token, ask: &Ask, former: &str, id: &str) {
        let old = self.people[former].clone();
        let mut by = Person { ask: ask.clone(), joins: None, syncs: None, ..old.clone() };
        by.fresh = false;
        by.until_ms = self.now_ms + ask.session_ms;
        let led = self.leader == former;
        let mut then = self.clone();
        then.put(former, id, by.clone());
        if self.state == "Stable" && then.choose() == self.protocol {
            let told = ask.version >= 9 && led;
            let said = Joined {
                code: ErrorCode::None,
                id: id.to_owned(),
                generation: self.generation,
                leader: if ask.version >= 9 { then.leader } else { self.leader.clone() },
                members: if told { then.people.into_keys().collect() } else { Vec::new() },
                skip: told,
            };
            self.say(token, Said::Join(said));
            let (former, id) = (former.to_owned(), id.to_owned());
            self.writes.push(Write::Replaced { former, id, by: Box::new(by) });
            return;
        }
        if let Some(token) = old.joins {
            self.say_join(token, former, ErrorCode::FencedInstanceId);
        }
        if let Some(token) = old.syncs {
            self.say(token, Said::Sync(ErrorCode::FencedInstanceId, String::new()));
        }
        by.joins = Some(token);
        self.put(former, id, by);
        self.changed();
    }

    pub(in super::super) fn sync(
        &mut self,
        token: Token,
        id: &str,
        generation: i32,
        named: bool,
        assignments: &BTreeMap<String, String>,
    ) {
        let refuse = |code| Said::Sync(code, String::new());
        let code = match self.check_generation(id, None, generation) {
            ErrorCode::None => {
                let other = self.protocol.is_some_and(|name| name != "range");
                let differs = named && (other || self.kind != "consumer");
                match self.state {
                    _ if differs => ErrorCode::InconsistentGroupProtocol,
                    "PreparingRebalance" => ErrorCode::RebalanceInProgress,
                    _ => ErrorCode::None,
                }
            }
            code => code,
        };
        if code != ErrorCode::None {
            return self.say(token, refuse(code));
        }
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.sync_until_ms = None;
        }
        let person = self.people.get_mut(id).unwrap();
        if self.state == "Stable" {
            let said = Said::Sync(ErrorCode::None, person.assignment.clone());
            return self.say(token, said);
        }
        if let Some(earlier) = person.syncs.replace(token) {
            self.say(earlier, refuse(ErrorCode::RebalanceInProgress));
        }
        if self.leader == id {
            let mut waiting = Vec::new();
            for (id, person) in &mut self.people {
                if let Some(token) = person.syncs.take() {
                    person.until_ms = self.now_ms + person.ask.session_ms;
                    let given = assignments.get(id).cloned().unwrap_or_default();
                    waiting.push((token, given));
                }
            }
            for (token, given) in waiting {
                self.say(token, Said::Sync(ErrorCode::None, given));
            }
            self.writes.push(Write::Assigned(assignments.clone()));
        }
    }

    pub(in super::super) fn beat(
        &mut self,
        token: Token,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) {
        let code = match self.check_generation(id, instance, generation) {
            ErrorCode::None => {
                let person = self.people.get_mut(id).unwrap();
                person.until_ms = self.now_ms + person.ask.session_ms;
                match self.state {
                    "PreparingRebalance" => ErrorCode::RebalanceInProgress,
                    _ => ErrorCode::None,
                }
            }
            code => code,
        };
        self.say(token, Said::Beat(code));
    }

    pub(in super::super) fn leave(&mut self, token: Token, who: &[(String, Option<String>)]) {
        let mut codes = Vec::new();
        for (id, instance) in who {
            let instance = instance.as_deref();
            let found = match id.as_str() {
                "" => instance.and_then(|instance| self.by_instance(instance)),
                id => Some(id.to_owned()),
            };
            let code = match found {
                None => ErrorCode::UnknownMemberId,
                Some(id) if self.pending.remove(&id).is_some() => ErrorCode::None,
                Some(id) => match self.check(&id, instance) {
                    ErrorCode::None => {
                        self.remove(&id, ErrorCode::UnknownMemberId);
                        ErrorCode::None
                    }
                    code => code,
                },
            };
            codes.push(code);
        }
        let some_left = codes.contains(&ErrorCode::None);
        self.say(token, Said::Leave(ErrorCode::None, codes));
        if some_left && self.state != "Empty" {
            self.changed();
        }
    }

    pub(in super::super) fn commit(
        &mut self,
        token: Token,
        (id, generation): (&str, i32),
        (partition, offset): (i32, i64),
    ) {
        let code = if self.state == "Empty" && generation < 0 {
            ErrorCode::None
        } else if !self.exists() && self.offsets.is_empty() {
            ErrorCode::GroupIdNotFound
        } else if generation < 0 && id.is_empty() {
            ErrorCode::UnknownMemberId
        } else {
            match self.check_generation(id, None, generation) {
                ErrorCode::None if self.state == "CompletingRebalance" => {
                    ErrorCode::RebalanceInProgress
                }
                code => code,
            }
        };
        if code == ErrorCode::None {
            if let Some(person) = self.people.get_mut(id) {
                person.until_ms = self.now_ms + person.ask.session_ms;
            }
            self.writes.push(Write::Offset(partition, Some(offset)));
        }
        self.say(token, Said::Commit(code));
    }

    pub(in super::super) fn delete(&mut self, token: Token) {
        let code = if self.state != "Empty" {
            ErrorCode::NonEmptyGroup
        } else if !self.exists() && self.offsets.is_empty() {
            ErrorCode::GroupIdNotFound
        } else {
            let all = self.offsets.keys().map(|partition| Write::Offset(*partition, None));
            self.writes.extend(all);
            self.writes.push(Write::Gone);
            ErrorCode::None
        };
        self.say(token, Said::Delete(code));
    }

    pub(in super::super) fn expire(&mut self) {
        if self.state != "Empty" {
            return;
        }
        let now = self.now_ms;
        let since = |at| if self.kind.is_empty() { at } else { self.since_ms };
        let old = |at: i64| now - since(at) >= self.retention_ms;
        let gone: Vec<i32> =
            self.offsets.iter().filter(|(_, (_, at))| old(*at)).map(|(p, _)| *p).collect();
        let all = gone.len() == self.offsets.len();
        self.writes.extend(gone.into_iter().map(|partition| Write::Offset(partition, None)));
        if all && self.exists() && self.pending.is_empty() {
            self.writes.push(Write::Gone);
        }
    }
}
