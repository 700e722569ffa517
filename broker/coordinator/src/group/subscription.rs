//! What consumers say that they read.

use std::collections::BTreeSet;

use bytes::Bytes;
use wire::codec::{DecodeError, Reader};
use wire::message::Message;
use wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;

use super::{Group, Member};

impl Group {
    /// Whether the group may read a topic: when its members are consumers and do not say what
    /// they read, it may read any.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// The topics of all members under the protocol of the generation.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let of_member = |member: &Member| topics(member.metadata(protocol)).ok();
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(of_member(member)?);
        }
        Some(all)
    }
}

/// Every version begins with what the first one has.
fn topics(subscription: Bytes) -> Result<Vec<String>, DecodeError> {
    let mut reader = Reader::new(subscription);
    let _version = reader.i16()?;
    Ok(ConsumerProtocolSubscription::decode(&mut reader, 0)?.topics)
}
