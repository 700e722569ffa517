//! The registered brokers.

use std::sync::Arc;

use wire::ids::{BrokerId, Uuid};
use wire::messages::broker_registration_change_record::BrokerRegistrationChangeRecord;
use wire::messages::register_broker_record::RegisterBrokerRecord;

use crate::pmap::PMap;

/// One endpoint of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// The number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a broker supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedFeature {
    /// The feature's name.
    pub name: String,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// One registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Counts registrations of all brokers: the offset of the record.
    pub epoch: i64,
    /// Which run of the process registered.
    pub incarnation: Uuid,
    /// Where clients and brokers reach it.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: Vec<SupportedFeature>,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it may lead and be listed.
    pub fenced: bool,
    /// Whether it is on its way out.
    pub in_controlled_shutdown: bool,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
    /// The log directories that take no new partitions; `None` when it never said.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// All registered brokers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brokers {
    by_id: PMap<BrokerId, Arc<Broker>>,
}

impl Broker {
    /// Whether it serves: neither fenced nor shutting down.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether one of its log directories takes new partitions.
    pub fn takes_partitions(&self) -> bool {
        let cordoned = self.cordoned_log_dirs.as_deref().unwrap_or_default();
        self.log_dirs.is_empty() || self.log_dirs.iter().any(|dir| !cordoned.contains(dir))
    }

    /// The endpoint of a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    fn from_record(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: BrokerId(record.broker_id),
            epoch: record.broker_epoch,
            incarnation: record.incarnation_id,
            endpoints: record.end_points.iter().map(Into::into).collect(),
            features: record.features.iter().map(Into::into).collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
        }
    }

    pub(crate) fn to_record(&self) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker_id: self.id.0,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation,
            broker_epoch: self.epoch,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(Into::into).collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }
}

impl Brokers {
    /// One broker.
    pub fn get(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.by_id.get(&id)
    }

    /// All brokers in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.by_id.values()
    }

    /// The brokers that are not fenced: those that clients are told of.
    pub fn unfenced(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.by_id.values().filter(|broker| !broker.fenced)
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn register(&mut self, record: &RegisterBrokerRecord) {
        let broker = Broker::from_record(record);
        self.by_id.insert(broker.id, Arc::new(broker));
    }

    pub(crate) fn unregister(&mut self, id: BrokerId) -> Option<Arc<Broker>> {
        self.by_id.remove(&id)
    }

    pub(crate) fn fence(&mut self, id: BrokerId, fenced: bool) -> Option<()> {
        self.by_id.update(&id, |broker| Arc::make_mut(broker).fenced = fenced)
    }

    pub(crate) fn change(&mut self, record: &BrokerRegistrationChangeRecord) -> Option<()> {
        self.by_id.update(&BrokerId(record.broker_id), |broker| {
            let broker = Arc::make_mut(broker);
            match record.fenced {
                -1 => broker.fenced = false,
                1 => broker.fenced = true,
                _ => {}
            }
            if record.in_controlled_shutdown == 1 {
                broker.in_controlled_shutdown = true;
            }
            if !record.log_dirs.is_empty() {
                broker.log_dirs.clone_from(&record.log_dirs);
            }
            if record.cordoned_log_dirs.is_some() {
                broker.cordoned_log_dirs.clone_from(&record.cordoned_log_dirs);
            }
        })
    }
}
