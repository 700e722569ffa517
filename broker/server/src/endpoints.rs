//! Where this process is reached, as it tells others.

use std::net::SocketAddr;

use node::{Bootstrap, ControllerEndpoint, Endpoint};

use tracing::{info, warn};

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
    for text in assumed(config) {
        match alone {
            true => info!("{text}"),
            false => warn!("{text}"),
        }
    }
}

/// What others are told of listeners on every address whose own is set nowhere: it may be one that
/// they do not reach.
fn assumed(config: &ServeConfig) -> Vec<String> {
    let everywhere = |listener: &ListenerConfig| {
        let host = listener.advertised_host.as_str();
        is_everywhere(&listener.host) && (host.is_empty() || is_everywhere(host))
    };
    let text = |whom: &str, name: &str, host: &str, port: u16| {
        format!(
            "{whom} are told {host}:{port} for listener {name}, which is open on every address; \
             where they do not reach it by that, set advertised.listeners"
        )
    };
    let clients = config.listeners.iter().zip(&config.node.endpoints);
    let clients = clients.filter(|(listener, _)| everywhere(listener));
    let clients = clients.map(|(_, one)| text("clients", &one.listener, &one.host, one.port));
    let several = !config.node.quorum.is_alone();
    // Where the voters are, all know from the list of them.
    let listed = match &config.node.quorum.bootstrap {
        Bootstrap::Static(voters) => voters.by_id(config.node.node_id).is_some(),
        _ => false,
    };
    let controllers = config.controller_listeners.iter().zip(&config.node.quorum.endpoints);
    let controllers = controllers.filter(|(one, _)| several && !listed && everywhere(one));
    let controllers =
        controllers.map(|(_, one)| text("other nodes", &one.listener, &one.host, one.port));
    clients.chain(controllers).collect()
}

fn is_everywhere(host: &str) -> bool {
    ["", "0.0.0.0", "::"].contains(&host)
}

fn host(listener: &ListenerConfig, alone: bool) -> String {
    let named = [&listener.advertised_host, &listener.host];
    let unreachable = |host: &str| host.is_empty() || (!alone && is_everywhere(host));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, load};

    fn told(set: &[&str]) -> (Vec<String>, Vec<String>) {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        let loaded = load(&Layers { set, ..Layers::default() }).unwrap();
        let mut config = loaded.settings.serve_config();
        let bound = |listeners: &[ListenerConfig]| -> Vec<SocketAddr> {
            listeners.iter().map(|one| SocketAddr::from(([0, 0, 0, 0], one.port))).collect()
        };
        let (clients, controllers) =
            (bound(&config.listeners), bound(&config.controller_listeners));
        fill(&mut config, &clients, &controllers);
        let hosts = config.node.endpoints.iter().map(|one| one.host.clone()).collect();
        (hosts, assumed(&config))
    }

    #[test]
    fn what_is_assumed_of_an_address_is_said() {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let several = [
            "node.id=1",
            "controller.listener.names=CONTROLLER",
            "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093",
        ];
        for host in ["", "0.0.0.0", "[::]"] {
            let listeners = format!("listeners=PLAINTEXT://{host}:9092,CONTROLLER://{host}:9093");
            let with = |more: &[&str]| told(&[&several[..], &[listeners.as_str()], more].concat());
            let (hosts, said) = with(&[]);
            assert_eq!(hosts, [name.as_str()], "{host}");
            let [said] = said.as_slice() else { panic!("{said:?}") };
            assert!(said.contains(&format!("clients are told {name}:9092")), "{said}");
            assert!(said.contains("set advertised.listeners"), "{said}");
            let (hosts, said) = with(&["advertised.listeners=PLAINTEXT://kafka.example:9092"]);
            assert_eq!((hosts, said), (vec!["kafka.example".to_owned()], Vec::new()));
        }
        // A controller that the list of voters does not place is where it says that it is.
        let joins = [
            "node.id=4",
            "controller.listener.names=CONTROLLER",
            "controller.quorum.bootstrap.servers=a:9093,b:9093",
            "listeners=PLAINTEXT://10.0.0.1:9092,CONTROLLER://:9093",
        ];
        let (_, said) = told(&joins);
        let [said] = said.as_slice() else { panic!("{said:?}") };
        assert!(said.contains(&format!("other nodes are told {name}:9093")), "{said}");
        assert_eq!(told(&["listeners=PLAINTEXT://127.0.0.1:9092"]).1, Vec::<String>::new());
        let (hosts, said) = told(&["listeners=PLAINTEXT://:9092"]);
        assert_eq!((hosts, said.len()), (vec!["localhost".to_owned()], 1));
    }
}
