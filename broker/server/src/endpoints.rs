//! Where this process is reached, as it tells others.

use std::net::SocketAddr;

use node::{Bootstrap, ControllerEndpoint, Endpoint};

use crate::serve_config::{ListenerConfig, ServeConfig};

/// Kafka's number of the security protocol without security.
const PLAINTEXT: i16 = 0;

/// Puts the endpoints of the bound listeners into the node's configuration: as advertised, else as
/// bound, else by the name of the machine.
pub(crate) fn fill(config: &mut ServeConfig, clients: &[SocketAddr], controllers: &[SocketAddr]) {
    let alone = config.node.quorum.is_alone();
    let client = |(listener, bound): (&ListenerConfig, &SocketAddr)| Endpoint {
        listener: listener.name.clone(),
        host: host(listener, alone),
        port: port(listener, bound),
        security_protocol: PLAINTEXT,
    };
    config.node.endpoints = config.listeners.iter().zip(clients).map(client).collect();
    // The voters' own list says best where a voter is reached.
    let listed = match &config.node.quorum.bootstrap {
        Bootstrap::Static(voters) => voters.by_id(config.node.node_id),
        _ => None,
    };
    let listed = listed.and_then(|voter| voter.endpoints.first()).cloned();
    let controller = |(listener, bound): (&ListenerConfig, &SocketAddr)| match &listed {
        Some(listed) if listed.listener == listener.name && listener.advertised_port == 0 => {
            listed.clone()
        }
        _ => ControllerEndpoint {
            listener: listener.name.clone(),
            host: host(listener, alone),
            port: port(listener, bound),
        },
    };
    let endpoints = config.controller_listeners.iter().zip(controllers).map(controller);
    config.node.quorum.endpoints = endpoints.collect();
}

fn host(listener: &ListenerConfig, alone: bool) -> String {
    let named = [&listener.advertised_host, &listener.host];
    let unreachable = |host: &str| host.is_empty() || (!alone && host == "0.0.0.0");
    let named = named.into_iter().find(|host| !unreachable(host));
    named.cloned().unwrap_or_else(|| match alone {
        true => "localhost".to_owned(),
        false => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    })
}

fn port(listener: &ListenerConfig, bound: &SocketAddr) -> u16 {
    match listener.advertised_port {
        0 => bound.port(),
        port => port,
    }
}
