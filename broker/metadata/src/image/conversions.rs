//! Endpoints and features as messages and records say them: each has types of its own with the
//! same fields.

use wire::messages::broker_registration_request::{Feature, Listener};
use wire::messages::controller_registration_request as enrolment;
use wire::messages::register_broker_record::{BrokerEndpoint, BrokerFeature};
use wire::messages::register_controller_record::{ControllerEndpoint, ControllerFeature};

use super::{Endpoint, SupportedFeature};

macro_rules! endpoints {
    ($($said:ty),*) => { $(
        impl From<&$said> for Endpoint {
            fn from(said: &$said) -> Self {
                Self {
                    listener: said.name.clone(),
                    host: said.host.clone(),
                    port: said.port,
                    security_protocol: said.security_protocol,
                }
            }
        }

        impl From<&Endpoint> for $said {
            fn from(endpoint: &Endpoint) -> Self {
                Self {
                    name: endpoint.listener.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                }
            }
        }
    )* };
}

macro_rules! features {
    ($($said:ty),*) => { $(
        impl From<&$said> for SupportedFeature {
            fn from(said: &$said) -> Self {
                Self {
                    name: said.name.clone(),
                    min: said.min_supported_version,
                    max: said.max_supported_version,
                }
            }
        }

        impl From<&SupportedFeature> for $said {
            fn from(feature: &SupportedFeature) -> Self {
                Self {
                    name: feature.name.clone(),
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                }
            }
        }
    )* };
}

endpoints!(Listener, BrokerEndpoint, enrolment::Listener, ControllerEndpoint);
features!(Feature, BrokerFeature, enrolment::Feature, ControllerFeature);
