//! `listeners`, `advertised.listeners` and what goes with them.

use super::error::ConfigError;
use super::resolved::{Note, Resolved};
use crate::serve_config::ListenerConfig;

const NO_SECURITY: &str =
    "TLS and SASL are not built yet, and the listener is not opened without them";

/// `NAME://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    name: String,
    host: String,
    port: u16,
}

/// The listeners to open, with what others are told of each.
#[derive(Debug, Clone)]
pub(super) struct Listeners {
    /// Where clients connect.
    pub(super) clients: Vec<ListenerConfig>,
    /// Where controllers, brokers and tools reach the controller.
    pub(super) controllers: Vec<ListenerConfig>,
    /// What the operator should know.
    pub(super) notes: Vec<Note>,
}

/// Reads `listeners` and what belongs to them.
pub(super) fn listeners(resolved: &Resolved) -> Result<Listeners, ConfigError> {
    let controllers = resolved.list("controller.listener.names")?;
    let is_controller = |endpoint: &Endpoint| {
        controllers.iter().any(|name| name.eq_ignore_ascii_case(&endpoint.name))
    };
    let all = endpoints(resolved, "listeners")?;
    for endpoint in &all {
        check_protocol(resolved, endpoint, is_controller(endpoint))?;
    }
    let (mine, for_controller): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|endpoint| !is_controller(endpoint));
    let advertised = endpoints(resolved, "advertised.listeners")?;
    check_names(resolved, &mine, &for_controller, &advertised)?;
    if mine.is_empty() && for_controller.is_empty() {
        let expected = "at least one listener that is not the controller's".to_owned();
        return Err(invalid(resolved, "listeners", expected));
    }
    let notes = keys_of_no_listener(resolved, &mine);
    let open = |endpoint: Endpoint| {
        let told = advertised.iter().find(|told| told.name == endpoint.name);
        ListenerConfig {
            advertised_host: told.map_or(String::new(), |told| told.host.clone()),
            advertised_port: told.map_or(0, |told| told.port),
            name: endpoint.name,
            host: endpoint.host,
            port: endpoint.port,
        }
    };
    Ok(Listeners {
        notes,
        clients: mine.into_iter().map(open).collect(),
        controllers: for_controller.into_iter().map(open).collect(),
    })
}

/// A limit of a listener that there is not would pass unnoticed otherwise.
fn keys_of_no_listener(resolved: &Resolved, mine: &[Endpoint]) -> Vec<Note> {
    let beginning = |one: &Endpoint| format!("listener.name.{}.", one.name.to_ascii_lowercase());
    let mine: Vec<String> = mine.iter().map(beginning).collect();
    let strange = |key: &&str| !mine.iter().any(|beginning| key.starts_with(beginning));
    let note = |key: &str| {
        Note::Plain(format!("{key} is of no listener: there, names are written in small letters"))
    };
    resolved.listener_keys().filter(strange).map(note).collect()
}

fn invalid(resolved: &Resolved, key: &str, expected: String) -> ConfigError {
    let value = match resolved.held(key).map(|held| &held.value) {
        Some(super::def::Value::List(list)) => list.join(","),
        Some(super::def::Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    ConfigError::Invalid { key: key.to_owned(), value, at: resolved.at(key), expected }
}

fn endpoints(resolved: &Resolved, key: &'static str) -> Result<Vec<Endpoint>, ConfigError> {
    let at = resolved.at(key);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for text in resolved.list(key)? {
        let endpoint = endpoint(&text).ok_or_else(|| ConfigError::Invalid {
            key: key.to_owned(),
            value: text.clone(),
            at: at.clone(),
            expected: "NAME://HOST:PORT, as in PLAINTEXT://127.0.0.1:9092".to_owned(),
        })?;
        if key == "advertised.listeners" && endpoint.host == "0.0.0.0" {
            let expected = "a host that clients can reach; 0.0.0.0 is none".to_owned();
            return Err(ConfigError::Invalid { key: key.to_owned(), value: text, at, expected });
        }
        if endpoints.iter().any(|known| known.name == endpoint.name) {
            let expected = format!("each name once; {} comes twice", endpoint.name);
            return Err(invalid(resolved, key, expected));
        }
        let taken = |known: &Endpoint| {
            known.port == endpoint.port && known.port != 0 && known.host == endpoint.host
        };
        if key == "listeners" && endpoints.iter().any(taken) {
            let expected = format!("each address once; port {} comes twice", endpoint.port);
            return Err(invalid(resolved, key, expected));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').map(|rest| rest.strip_suffix(']'));
    let host = match bracketed {
        Some(inside) => inside?,
        None if host.contains(':') => return None,
        None => host,
    };
    let named = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    if name.is_empty() || !name.chars().all(named) {
        return None;
    }
    let port = port.parse().ok()?;
    Some(Endpoint { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
}

/// A listener that must be encrypted or authenticated is refused, never opened plain.
/// Without a map of the operator's own, a controller's listener is plain, as in Kafka.
fn check_protocol(
    resolved: &Resolved,
    endpoint: &Endpoint,
    is_controller: bool,
) -> Result<(), ConfigError> {
    const MAP: &str = "listener.security.protocol.map";
    let map = resolved.text(MAP)?.unwrap_or_default();
    let protocol = map.split(',').find_map(|pair| {
        let (name, protocol) = pair.trim().split_once(':')?;
        name.trim().eq_ignore_ascii_case(&endpoint.name).then(|| protocol.trim().to_owned())
    });
    match protocol.as_deref() {
        Some("PLAINTEXT") => Ok(()),
        Some("SSL" | "SASL_PLAINTEXT" | "SASL_SSL") => Err(ConfigError::Unsupported {
            key: "listeners".to_owned(),
            value: format!("{}://{}:{}", endpoint.name, endpoint.host, endpoint.port),
            at: resolved.at("listeners"),
            why: NO_SECURITY,
        }),
        Some(_) => {
            let expected = "NAME:PROTOCOL pairs, where PROTOCOL is PLAINTEXT, SSL, \
                 SASL_PLAINTEXT or SASL_SSL";
            Err(invalid(resolved, MAP, expected.to_owned()))
        }
        None if is_controller && !resolved.is_set(MAP) => Ok(()),
        None => {
            let mut expected = format!("a protocol for the listener {}", endpoint.name);
            if resolved.list("controller.listener.names")?.is_empty() {
                let or = ", or its name in controller.listener.names if it is for controllers";
                expected.push_str(or);
            }
            Err(invalid(resolved, MAP, expected))
        }
    }
}

fn check_names(
    resolved: &Resolved,
    mine: &[Endpoint],
    for_controller: &[Endpoint],
    advertised: &[Endpoint],
) -> Result<(), ConfigError> {
    let known = |name: &str| mine.iter().any(|one| one.name.eq_ignore_ascii_case(name));
    let told = |name: &str| known(name) || for_controller.iter().any(|one| one.name == name);
    if let Some(endpoint) = advertised.iter().find(|endpoint| !told(&endpoint.name)) {
        let expected = format!("names of listeners only; {} is none", endpoint.name);
        return Err(invalid(resolved, "advertised.listeners", expected));
    }
    if let Some(name) = resolved.text("inter.broker.listener.name")?
        && !known(&name)
    {
        let expected = "the name of one of the listeners".to_owned();
        return Err(invalid(resolved, "inter.broker.listener.name", expected));
    }
    Ok(())
}
