//! Records of the metadata log on which nothing here acts yet: access control, quotas,
//! credentials, tokens. They are kept, so that a snapshot does not lose them.

use std::sync::Arc;

use wire::ids::Uuid;
use wire::messages::metadata_records::MetadataRecord;

use crate::pmap::PMap;

/// What a kept record is about: a later one of the same key takes its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    AccessControlEntry(Uuid),
    /// The entity, by type and name, and the quota's name.
    Quota(Vec<(String, Option<String>)>, String),
    /// The user and the mechanism.
    Scram(String, i8),
    Token(String),
}

/// The records that are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    records: PMap<Key, Arc<MetadataRecord>>,
}

impl Kept {
    /// All kept records, in an order that does not change.
    pub fn iter(&self) -> impl Iterator<Item = &MetadataRecord> {
        self.records.values().map(Arc::as_ref)
    }

    /// How many access control entries there are.
    pub fn access_control_entries(&self) -> usize {
        self.records.keys().filter(|key| matches!(key, Key::AccessControlEntry(_))).count()
    }

    /// How many quotas of clients there are.
    pub fn quotas(&self) -> usize {
        self.records.keys().filter(|key| matches!(key, Key::Quota(..))).count()
    }

    /// How many SCRAM credentials and delegation tokens there are.
    pub fn credentials(&self) -> usize {
        self.records.keys().filter(|key| matches!(key, Key::Scram(..) | Key::Token(_))).count()
    }

    /// Keeps or forgets what the record says; `false` when it is not of a kind that is kept.
    pub(crate) fn replay(&mut self, record: &MetadataRecord) -> bool {
        let (key, stays) = match record {
            MetadataRecord::AccessControlEntry(r) => (Key::AccessControlEntry(r.id), true),
            MetadataRecord::RemoveAccessControlEntry(r) => (Key::AccessControlEntry(r.id), false),
            MetadataRecord::ClientQuota(r) => {
                let part = |e: &wire::messages::client_quota_record::EntityData| {
                    (e.entity_type.clone(), e.entity_name.clone())
                };
                let mut entity: Vec<_> = r.entity.iter().map(part).collect();
                entity.sort_unstable();
                (Key::Quota(entity, r.key.clone()), !r.remove)
            }
            MetadataRecord::UserScramCredential(r) => {
                (Key::Scram(r.name.clone(), r.mechanism), true)
            }
            MetadataRecord::RemoveUserScramCredential(r) => {
                (Key::Scram(r.name.clone(), r.mechanism), false)
            }
            MetadataRecord::DelegationToken(r) => (Key::Token(r.token_id.clone()), true),
            MetadataRecord::RemoveDelegationToken(r) => (Key::Token(r.token_id.clone()), false),
            _ => return false,
        };
        if stays {
            self.records.insert(key, Arc::new(record.clone()));
        } else {
            self.records.remove(&key);
        }
        true
    }
}
