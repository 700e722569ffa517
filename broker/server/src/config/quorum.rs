//! `process.roles`, `controller.quorum.*` and what goes with them: what this process is, and where
//! it finds the other nodes. What Kafka refuses is refused; what Kafka needs and a lone broker does
//! not is left out.

use std::fmt;
use std::time::Duration;

use wire::ids::{BrokerId, Uuid};

use super::error::ConfigError;
use super::listeners::Listeners;
use super::resolved::{Note, Resolved};
use super::settings::{Formation, NodeAddress, QuorumSettings, Roles, VoterAddress};
use super::typed::{invalid, millis};
use crate::serve_config::ListenerConfig;

const VOTERS: &str = "controller.quorum.voters";
const SERVERS: &str = "controller.quorum.bootstrap.servers";
const NAMES: &str = "controller.listener.names";

impl QuorumSettings {
    /// Where a node without a quorum asks for one: the bootstrap servers, else the voters.
    #[must_use]
    pub fn contacts(&self) -> Vec<String> {
        let voters = self.voters.iter().map(|voter| &voter.address);
        match self.bootstrap_servers.as_slice() {
            [] => voters.map(ToString::to_string).collect(),
            servers => servers.iter().map(ToString::to_string).collect(),
        }
    }

    /// What the node needs to know of its part in the quorum; where it is reached itself is known
    /// once its listeners are bound.
    pub(super) fn node_config(&self) -> node::QuorumConfig {
        let whole_ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let voter = |one: &VoterAddress| node::Voter {
            id: BrokerId(one.id),
            directory: Uuid::ZERO,
            endpoints: vec![node::ControllerEndpoint {
                listener: self.listener_name.clone(),
                host: one.address.host.clone(),
                port: one.address.port,
            }],
        };
        node::QuorumConfig {
            roles: node::Roles { broker: self.roles.broker, controller: self.roles.controller },
            bootstrap: match self.formation {
                Formation::Alone => node::Bootstrap::Alone,
                Formation::Voters => node::Bootstrap::Static(node::Voters::new(
                    self.voters.iter().map(voter).collect(),
                )),
                Formation::Join => node::Bootstrap::Join,
            },
            bootstrap_servers: self.contacts().len(),
            auto_join: self.auto_join,
            endpoints: Vec::new(),
            fetch_timeout_ms: whole_ms(self.fetch_timeout),
            election_timeout_ms: whole_ms(self.election_timeout),
            election_backoff_max_ms: whole_ms(self.election_backoff_max),
            request_timeout_ms: whole_ms(self.request_timeout),
            retry_backoff_ms: whole_ms(self.retry_backoff),
            fetch_bytes: self.fetch_bytes_max,
            session_timeout_ms: whole_ms(self.session_timeout),
            heartbeat_interval_ms: whole_ms(self.heartbeat_interval),
            ..node::QuorumConfig::alone()
        }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What the keys of the quorum say, for the node of this id with these listeners.
pub(super) fn quorum(
    resolved: &Resolved,
    node_id: i32,
    listeners: &Listeners,
    notes: &mut Vec<Note>,
) -> Result<QuorumSettings, ConfigError> {
    let roles = roles(resolved)?;
    let mut voters = voters(resolved)?;
    let bootstrap_servers = servers(resolved)?;
    let auto_join = resolved.flag("controller.quorum.auto.join.enable")?;
    check_roles(resolved, roles, node_id, &voters, &bootstrap_servers)?;
    check_listeners(resolved, roles, listeners)?;
    if auto_join && !roles.controller {
        return Err(ConfigError::Conflict {
            first: resolved.placed("controller.quorum.auto.join.enable", true),
            second: placed_roles(resolved),
            why: "only a controller votes",
        });
    }
    notes.extend(own_voter(roles, node_id, &voters, listeners));
    if let ([], [one]) = (&*voters, &*bootstrap_servers)
        && roles.controller
        && is_here(one, listeners)
    {
        // Kafka's sample file for one node. Others may follow it, or join it.
        voters.push(VoterAddress { id: node_id, address: one.clone() });
    }
    let formation = formation(roles, node_id, &voters, &bootstrap_servers, listeners);
    if formation != Formation::Alone {
        if roles.controller && listeners.controllers.is_empty() {
            let list = if voters.is_empty() { SERVERS } else { VOTERS };
            let expected = format!(
                "the name of one of the listeners: by {} there are other nodes, which reach the \
                 controller by it",
                resolved.placed(list, resolved.list(list)?.join(","))
            );
            return Err(invalid(resolved, NAMES, names(resolved)?.join(","), &expected));
        }
        if formation == Formation::Join && roles.controller && !auto_join {
            notes.push(Note::Plain(
                "controller.quorum.auto.join.enable is false: on an empty disk this controller \
                 follows the quorum of controller.quorum.bootstrap.servers, and votes once it is \
                 added (AddRaftVoter)"
                    .to_owned(),
            ));
        }
    }
    note_heartbeats(resolved, notes)?;
    Ok(QuorumSettings {
        roles,
        formation,
        voters,
        bootstrap_servers,
        auto_join,
        listener_name: names(resolved)?.into_iter().next().unwrap_or_default(),
        election_timeout: millis(resolved, "controller.quorum.election.timeout.ms")?,
        election_backoff_max: millis(resolved, "controller.quorum.election.backoff.max.ms")?,
        fetch_timeout: millis(resolved, "controller.quorum.fetch.timeout.ms")?,
        request_timeout: millis(resolved, "controller.quorum.request.timeout.ms")?,
        retry_backoff: millis(resolved, "controller.quorum.retry.backoff.ms")?,
        fetch_bytes_max: resolved.get("controller.quorum.fetch.max.bytes")?,
        session_timeout: positive_millis(resolved, "broker.session.timeout.ms")?,
        heartbeat_interval: positive_millis(resolved, "broker.heartbeat.interval.ms")?,
    })
}

/// The others look for this node where the list of voters says that it is.
fn own_voter(
    roles: Roles,
    node_id: i32,
    voters: &[VoterAddress],
    listeners: &Listeners,
) -> Option<Note> {
    let own = voters.iter().find(|voter| voter.id == node_id && roles.controller)?;
    let port = own.address.port;
    let named = |one: &ListenerConfig| one.port == port || one.advertised_port == port;
    let open = listeners.controllers.iter().any(|one| named(one) || one.port == 0);
    if open || listeners.controllers.is_empty() {
        return None;
    }
    Some(Note::Plain(format!(
        "{VOTERS} says that this node is at {}, and none of its listeners for controllers has that \
         port: the others will not find it, unless something passes connections on",
        own.address
    )))
}

/// Said rather than refused: a broker whose heartbeats come too seldom is fenced between them.
fn note_heartbeats(resolved: &Resolved, notes: &mut Vec<Note>) -> Result<(), ConfigError> {
    let interval: i64 = resolved.get("broker.heartbeat.interval.ms")?;
    let session: i64 = resolved.get("broker.session.timeout.ms")?;
    if interval > session / 2 {
        notes.push(Note::Plain(format!(
            "broker.heartbeat.interval.ms={interval} is more than half of \
             broker.session.timeout.ms={session}: the broker will be fenced between its heartbeats"
        )));
    }
    Ok(())
}

fn names(resolved: &Resolved) -> Result<Vec<String>, ConfigError> {
    let names = resolved.list(NAMES)?;
    Ok(names.iter().map(|name| name.to_ascii_uppercase()).collect())
}

fn positive_millis(resolved: &Resolved, name: &'static str) -> Result<Duration, ConfigError> {
    let time = millis(resolved, name)?;
    let number: i64 = resolved.get(name)?;
    if time.is_zero() {
        return Err(invalid(resolved, name, number, "at least 1"));
    }
    Ok(time)
}

/// One of the two at least: the key refuses an empty list and other words.
fn roles(resolved: &Resolved) -> Result<Roles, ConfigError> {
    let named = resolved.list("process.roles")?;
    let has = |role: &str| named.iter().any(|one| one == role);
    Ok(Roles { broker: has("broker"), controller: has("controller") })
}

/// `HOST:PORT`, where an IPv6 address stands in brackets.
fn address(text: &str) -> Option<NodeAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let inner = host.strip_prefix('[').map(|rest| rest.strip_suffix(']'));
    let host = match inner {
        Some(inside) => inside?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let routable = !host.is_empty() && host != "0.0.0.0" && host != "::";
    routable.then(|| NodeAddress { host: host.to_owned(), port })
}

fn voters(resolved: &Resolved) -> Result<Vec<VoterAddress>, ConfigError> {
    let mut voters: Vec<VoterAddress> = Vec::new();
    for text in resolved.list(VOTERS)? {
        let read = || {
            let (id, rest) = text.split_once('@')?;
            let id = id.trim().parse().ok().filter(|id| *id >= 0)?;
            Some(VoterAddress { id, address: address(rest.trim())? })
        };
        let voter = read().ok_or_else(|| {
            invalid(resolved, VOTERS, &text, "ID@HOST:PORT, as in 1@controller-1.example:9093")
        })?;
        let same = |one: &VoterAddress| one.id == voter.id || one.address == voter.address;
        if voters.iter().any(same) {
            return Err(invalid(resolved, VOTERS, &text, "each id and each address once"));
        }
        voters.push(voter);
    }
    voters.sort_by_key(|voter| voter.id);
    Ok(voters)
}

fn servers(resolved: &Resolved) -> Result<Vec<NodeAddress>, ConfigError> {
    let read = |text: String| {
        let expected = "HOST:PORT, as in controller-1.example:9093";
        address(&text).ok_or_else(|| invalid(resolved, SERVERS, &text, expected))
    };
    resolved.list(SERVERS)?.into_iter().map(read).collect()
}

fn placed_roles(resolved: &Resolved) -> String {
    let roles = resolved.list("process.roles").unwrap_or_default();
    resolved.placed("process.roles", roles.join(","))
}

/// What the roles ask of the lists of controllers.
fn check_roles(
    resolved: &Resolved,
    roles: Roles,
    node_id: i32,
    voters: &[VoterAddress],
    servers: &[NodeAddress],
) -> Result<(), ConfigError> {
    let votes = voters.iter().any(|voter| voter.id == node_id);
    let id_key = ["node.id", "broker.id"].into_iter().find(|key| resolved.is_set(key));
    let id_key = id_key.unwrap_or("node.id");
    let listed = resolved.placed(VOTERS, resolved.list(VOTERS)?.join(","));
    let conflict = |second, why| {
        Err(ConfigError::Conflict { first: resolved.placed(id_key, node_id), second, why })
    };
    match (roles.broker, roles.controller) {
        (_, true) if !voters.is_empty() && !votes => {
            conflict(listed, "a controller is one of the voters")
        }
        (true, false) if votes => {
            let both = format!("{listed} with {}", placed_roles(resolved));
            conflict(both, "a voter is a controller, too")
        }
        (true, true) => Ok(()),
        _ if voters.is_empty() && servers.is_empty() => {
            let text = resolved.list("process.roles")?.join(",");
            let expected = "broker,controller, or controller.quorum.voters or \
                            controller.quorum.bootstrap.servers with it";
            Err(invalid(resolved, "process.roles", text, expected))
        }
        _ => Ok(()),
    }
}

/// What the roles ask of the listeners.
fn check_listeners(
    resolved: &Resolved,
    roles: Roles,
    listeners: &Listeners,
) -> Result<(), ConfigError> {
    let named = names(resolved)?;
    let refuse = |key: &'static str, expected: &str| {
        let expected = format!("{expected}, as {} says", placed_roles(resolved));
        Err(invalid(resolved, key, resolved.list(key)?.join(","), &expected))
    };
    let open = |name: &String| listeners.controllers.iter().any(|one| one.name == *name);
    match (roles.broker, roles.controller) {
        (true, false) if named.is_empty() => {
            refuse(NAMES, "the name that the controllers' listener has on their side")
        }
        (true, false) if !listeners.controllers.is_empty() => {
            refuse("listeners", "no listener of the controller")
        }
        (false, true) if !listeners.clients.is_empty() => {
            refuse("listeners", "listeners of controller.listener.names only")
        }
        (_, true) if !named.iter().all(open) => refuse(NAMES, "names that listeners has as well"),
        (true, _) if listeners.clients.is_empty() => {
            refuse("listeners", "at least one listener that is not the controller's")
        }
        _ => Ok(()),
    }
}

/// How this node begins on an empty disk.
fn formation(
    roles: Roles,
    node_id: i32,
    voters: &[VoterAddress],
    servers: &[NodeAddress],
    listeners: &Listeners,
) -> Formation {
    let reached = !roles.broker || !listeners.controllers.is_empty();
    match (voters, servers) {
        ([], []) => Formation::Alone,
        // The only voter, where no other node could reach it.
        ([one], _) if one.id == node_id && !reached => Formation::Alone,
        ([_, ..], _) if roles.controller => Formation::Voters,
        _ => Formation::Join,
    }
}

/// Whether the address is one of this process's own controller listeners, as Kafka's sample file
/// for one node has it.
fn is_here(server: &NodeAddress, listeners: &Listeners) -> bool {
    let local = ["localhost", "127.0.0.1", "::1"].contains(&server.host.as_str());
    listeners.controllers.iter().any(|one| {
        let bound = one.port == server.port && (local || one.host == server.host);
        bound || (one.advertised_port == server.port && one.advertised_host == server.host)
    })
}
