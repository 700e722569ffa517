//! One member of a group.

use bytes::Bytes;
use wire::messages::group_metadata_value::MemberMetadata;

use crate::Token;

/// Someone who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    pub(crate) version: i16,
}

/// One member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// What it can do, the preferred protocol first, with its subscription for each.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// Waits for the generation.
    pub(crate) join: Option<Waiter>,
    /// Waits for its assignment.
    pub(crate) sync: Option<Waiter>,
    /// Has never been in a generation.
    pub(crate) is_new: bool,
    /// When it is given up unless it is heard of.
    pub(crate) session_deadline_ms: i64,
}

impl Member {
    /// A member that a record describes.
    pub(crate) fn restore(stored: &MemberMetadata, protocol: &str, now_ms: i64) -> Self {
        let mut member = Self {
            id: stored.member_id.clone(),
            instance_id: stored.group_instance_id.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            // The oldest records have no rebalance timeout of their own.
            rebalance_timeout_ms: match stored.rebalance_timeout {
                -1 => stored.session_timeout,
                timeout => timeout,
            },
            session_timeout_ms: stored.session_timeout,
            protocols: vec![(protocol.to_owned(), stored.subscription.clone())],
            assignment: stored.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            session_deadline_ms: 0,
        };
        member.heard(now_ms);
        member
    }

    /// The member was heard of: its session begins anew.
    pub(crate) fn heard(&mut self, now_ms: i64) {
        self.session_deadline_ms = now_ms.saturating_add(i64::from(self.session_timeout_ms));
    }

    /// When it is given up. One that waits for us is not, unless it has never been in a
    /// generation: then nobody else may ever come.
    pub(crate) fn deadline(&self) -> Option<i64> {
        let waits = self.join.is_some() || self.sync.is_some();
        (self.is_new || !waits).then_some(self.session_deadline_ms)
    }

    /// What it takes, roughly.
    pub(crate) fn weight_bytes(&self) -> usize {
        let names = [&self.id, &self.client_id, &self.client_host];
        let names = names.into_iter().map(String::len).sum::<usize>();
        let protocols = self.protocols.iter().map(|(name, data)| name.len() + data.len());
        let protocols = protocols.sum::<usize>();
        let instance = self.instance_id.as_ref().map_or(0, String::len);
        size_of::<Self>() + names + instance + protocols + self.assignment.len()
    }

    /// Its subscription under a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Whether it can do a protocol.
    pub(crate) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }
}
