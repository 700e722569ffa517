//! `tidelog broker list|describe`.

use std::collections::BTreeMap;
use std::fmt::Write;

use client::{BrokerDescription, Client, ConfigEntry, ConfigResource, ConfigSource};
use serde_json::{Value, json};

use crate::commands::common::{ClusterArgs, Output, OutputArgs, line, print, table};
use crate::commands::failure::Failure;

/// Arguments of `tidelog broker`.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Broker {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the brokers.
    List(List),
    /// Show a broker, and what was set on it while it ran.
    Describe(Describe),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
struct Describe {
    /// The broker's id.
    id: i32,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a broker carries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// The partitions that it leads.
    leads: usize,
    /// The replicas that it has.
    replicas: usize,
    /// Those of them that are not in sync.
    behind: usize,
}

/// What the brokers carry, by id.
pub(super) async fn loads(client: &Client) -> Result<BTreeMap<i32, Load>, Failure> {
    let mut loads: BTreeMap<i32, Load> = BTreeMap::new();
    for partition in client.list_topics().await?.iter().flat_map(|topic| &topic.partitions) {
        if let Some(leader) = partition.leader {
            loads.entry(leader).or_default().leads += 1;
        }
        for id in &partition.replicas {
            let load = loads.entry(*id).or_default();
            load.replicas += 1;
            load.behind += usize::from(!partition.in_sync.contains(id));
        }
    }
    Ok(loads)
}

fn state(broker: &BrokerDescription) -> &'static str {
    match broker.fenced {
        Some(true) => "fenced",
        // Who does not tell fenced brokers tells only the others.
        Some(false) | None => "active",
    }
}

fn address(broker: &BrokerDescription) -> String {
    match broker.host.contains(':') {
        true => format!("[{}]:{}", broker.host, broker.port),
        false => format!("{}:{}", broker.host, broker.port),
    }
}

pub(super) fn json(broker: &BrokerDescription, load: Load) -> Value {
    json!({
        "broker": broker.id,
        "address": address(broker),
        "rack": broker.rack,
        "state": state(broker),
        "leads": load.leads,
        "replicas": load.replicas,
        "behind": load.behind,
    })
}

/// Brokers as a table.
pub(super) fn shown(brokers: &[BrokerDescription], loads: &BTreeMap<i32, Load>) -> String {
    let row = |one: &BrokerDescription| {
        let load = loads.get(&one.id).copied().unwrap_or_default();
        let rack = one.rack.clone().unwrap_or_else(|| "-".to_owned());
        let counts = [load.leads, load.replicas, load.behind].map(|count| count.to_string());
        let mut row = vec![one.id.to_string(), address(one), rack, state(one).to_owned()];
        row.extend(counts);
        row
    };
    let rows: Vec<_> = brokers.iter().map(row).collect();
    table(&["BROKER", "ADDRESS", "RACK", "STATE", "LEADS", "REPLICAS", "BEHIND"], &rows)
}

impl Broker {
    pub(in crate::commands) fn run(self) -> Result<(), Failure> {
        print(&match self.action {
            Action::List(list) => list.run()?,
            Action::Describe(describe) => describe.run()?,
        })
    }
}

impl List {
    fn run(self) -> Result<String, Failure> {
        let (brokers, loads) = self.cluster.run(async |client| {
            Ok((client.describe_cluster().await?.brokers, loads(client).await?))
        })?;
        if self.output.output == Output::Table {
            return Ok(shown(&brokers, &loads));
        }
        let load = |id| loads.get(&id).copied().unwrap_or_default();
        let one = |broker: &BrokerDescription| json(broker, load(broker.id));
        Ok(line(&Value::Array(brokers.iter().map(one).collect())))
    }
}

impl Describe {
    fn run(self) -> Result<String, Failure> {
        let (broker, load, configs) = self.cluster.run(async |client| {
            let mut brokers = client.describe_cluster().await?.brokers;
            let known = brokers.iter().map(|broker| broker.id).collect();
            brokers.retain(|broker| broker.id == self.id);
            let Some(broker) = brokers.pop() else {
                return Err(client::Error::NoBroker { id: self.id, known }.into());
            };
            let load = loads(client).await?.get(&self.id).copied().unwrap_or_default();
            // Who is fenced cannot be asked.
            let mut configs = match broker.fenced {
                Some(true) => Vec::new(),
                _ => client.describe_configs(&ConfigResource::Broker(self.id), None).await?,
            };
            let set = [ConfigSource::Broker, ConfigSource::BrokerDefaults];
            configs.retain(|config| set.contains(&config.source));
            Ok((broker, load, configs))
        })?;
        if self.output.output == Output::Json {
            let value = |config: &ConfigEntry| (config.name.clone(), json!(config.value));
            let configs: serde_json::Map<String, Value> = configs.iter().map(value).collect();
            let mut shown = json(&broker, load);
            if let Some(object) = shown.as_object_mut() {
                object.insert("configs".to_owned(), Value::Object(configs));
            }
            return Ok(line(&shown));
        }
        let mut text = format!("broker: {}\naddress: {}\n", broker.id, address(&broker));
        let rack = broker.rack.as_deref().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = write!(text, "rack: {rack}\nstate: {}\n", state(&broker));
        let _ = writeln!(
            text,
            "leads: {} partitions\nreplicas: {} ({} not in sync)",
            load.leads, load.replicas, load.behind
        );
        for config in &configs {
            let value = config.value.as_deref().unwrap_or("(hidden)");
            let _ = writeln!(text, "config: {}={value}", config.name);
        }
        Ok(text)
    }
}
