//! The registered controllers: the nodes of the metadata quorum, as they say of themselves.

use std::sync::Arc;

use wire::ids::{BrokerId, Uuid};
use wire::messages::register_controller_record::RegisterControllerRecord;

use super::{Endpoint, SupportedFeature};
use crate::pmap::PMap;

/// One registered controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its id, out of the same numbers as the brokers'.
    pub id: BrokerId,
    /// Which run of the process registered.
    pub incarnation: Uuid,
    /// Where other nodes and tools reach it.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: Vec<SupportedFeature>,
}

/// All registered controllers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Controllers {
    by_id: PMap<BrokerId, Arc<Controller>>,
}

impl Controller {
    /// The endpoint of a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    fn from_record(record: &RegisterControllerRecord) -> Self {
        Self {
            id: BrokerId(record.controller_id),
            incarnation: record.incarnation_id,
            endpoints: record.end_points.iter().map(Into::into).collect(),
            features: record.features.iter().map(Into::into).collect(),
        }
    }

    pub(crate) fn to_record(&self) -> RegisterControllerRecord {
        RegisterControllerRecord {
            controller_id: self.id.0,
            incarnation_id: self.incarnation,
            zk_migration_ready: false,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(Into::into).collect(),
        }
    }
}

impl Controllers {
    /// One controller.
    pub fn get(&self, id: BrokerId) -> Option<&Arc<Controller>> {
        self.by_id.get(&id)
    }

    /// All controllers in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Controller>> {
        self.by_id.values()
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn register(&mut self, record: &RegisterControllerRecord) {
        let controller = Controller::from_record(record);
        self.by_id.insert(controller.id, Arc::new(controller));
    }
}
