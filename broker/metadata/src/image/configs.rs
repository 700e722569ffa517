//! Dynamic configuration by resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::ids::BrokerId;
use wire::messages::config_record::ConfigRecord;

use crate::pmap::PMap;

/// What a configuration belongs to; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A broker, or all brokers when the name is empty.
    Broker = 4,
    /// The metrics that clients push.
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

/// What a configuration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// The kind.
    pub kind: ResourceKind,
    /// The name: a topic's, a broker's id, a group's.
    pub name: String,
}

/// All dynamic configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configs {
    by_resource: PMap<Resource, Arc<BTreeMap<String, String>>>,
}

impl ResourceKind {
    /// The kind of this number.
    pub fn from_i8(number: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| *kind as i8 == number)
    }
}

impl Resource {
    /// A topic's configuration.
    pub fn topic(name: &str) -> Self {
        Self { kind: ResourceKind::Topic, name: name.to_owned() }
    }

    /// One broker's configuration.
    pub fn broker(id: BrokerId) -> Self {
        Self { kind: ResourceKind::Broker, name: id.to_string() }
    }

    /// A group's configuration.
    pub fn group(name: &str) -> Self {
        Self { kind: ResourceKind::Group, name: name.to_owned() }
    }

    /// The configuration of all brokers.
    pub fn all_brokers() -> Self {
        Self { kind: ResourceKind::Broker, name: String::new() }
    }
}

impl Configs {
    /// What is set on a resource.
    pub fn get(&self, resource: &Resource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.by_resource.get(resource)
    }

    /// One value set on a resource.
    pub fn value(&self, resource: &Resource, key: &str) -> Option<&str> {
        self.by_resource.get(resource)?.get(key).map(String::as_str)
    }

    /// What is set on a topic, as pairs in the order of the keys.
    pub fn of_topic(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.by_resource
            .get(&Resource::topic(name))
            .into_iter()
            .flat_map(|set| set.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }

    /// All resources with what is set on them.
    pub fn iter(&self) -> impl Iterator<Item = (&Resource, &Arc<BTreeMap<String, String>>)> {
        self.by_resource.iter()
    }

    /// Applies one record; `None` for a kind of resource that we do not know.
    pub(crate) fn set(&mut self, record: &ConfigRecord) -> Option<Resource> {
        let kind = ResourceKind::from_i8(record.resource_type)?;
        let resource = Resource { kind, name: record.resource_name.clone() };
        let left = self.by_resource.update(&resource, |set| {
            let set = Arc::make_mut(set);
            match &record.value {
                Some(value) => set.insert(record.name.clone(), value.clone()),
                None => set.remove(&record.name),
            };
            set.len()
        });
        match (left, &record.value) {
            (Some(0), _) => {
                self.by_resource.remove(&resource);
            }
            (None, Some(value)) => {
                let set = BTreeMap::from([(record.name.clone(), value.clone())]);
                self.by_resource.insert(resource.clone(), Arc::new(set));
            }
            _ => {}
        }
        Some(resource)
    }

    pub(crate) fn remove(&mut self, resource: &Resource) -> bool {
        self.by_resource.remove(resource).is_some()
    }
}
