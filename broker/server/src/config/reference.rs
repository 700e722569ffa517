//! Every key, told for people: the tables of the documentation and of `tidelog config docs`.

use std::fmt::Write;

use metadata::topic_config;

use super::def::{Def, Role, Update};
use super::{keys, registry};

/// The whole reference as Markdown, from the definitions that the broker reads.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration reference\n\n\
         Keys, types, defaults and limits are Apache Kafka's, as of 4.3; keys that Kafka lacks \
         begin with `tidelog.`.\n\n## Keys of the broker that do something\n",
    );
    text.push_str(&applied());
    text.push_str("\n## Keys of Kafka that are accepted and change nothing (yet)\n");
    text.push_str(&accepted());
    text.push_str("\n## Keys that Kafka 4 no longer has\n");
    text.push_str(&gone());
    text.push_str("\n## Keys of topics\n");
    text.push_str(&topics());
    text.push_str(
        "\n## Keys of groups\n\nChecked and kept; the protocols that they are for are \
                   not built yet.\n",
    );
    text.push_str(&table(metadata::group_config::GROUP.iter()));
    text.push_str("\n## Keys of subscriptions to clients' metrics\n\nChecked and kept.\n");
    text.push_str(&table(metadata::group_config::CLIENT_METRICS.iter()));
    text
}

/// The table of the broker's keys that do something, those of Kafka first.
#[must_use]
pub fn applied() -> String {
    let mut applied: Vec<_> = registry::all().filter(|def| def.role == Role::Applied).collect();
    applied.sort_by_key(|def| (def.name.starts_with("tidelog."), def.name));
    let mut text =
        String::from("\n| key | type | default | changes | topic key | what it does |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for def in applied {
        let (kind, default, topic) = (kind(def), code(def.default), code(def.topic));
        let (changes, doc) = (changes(def), cell(def.doc));
        row(&mut text, &[&code(Some(def.name)), &kind, &default, changes, &topic, &doc]);
    }
    text
}

fn accepted() -> String {
    let mut accepted: Vec<_> = registry::all().filter(|def| def.role != Role::Applied).collect();
    accepted.sort_by_key(|def| (def.name.starts_with("tidelog."), def.name));
    let mut text = String::from("\n| key | type | default | changes | allowed |\n");
    text.push_str("|---|---|---|---|---|\n");
    for def in accepted {
        let (kind, default) = (kind(def), code(def.default));
        let mut allowed = cell(&def.expected());
        if let Role::Deprecated(instead) = def.role {
            // Writing to a string cannot fail.
            let _ = write!(allowed, "; deprecated: use {instead}");
        }
        row(&mut text, &[&code(Some(def.name)), &kind, &default, changes(def), &allowed]);
    }
    text
}

fn gone() -> String {
    let mut text = String::from("\n| key | instead |\n|---|---|\n");
    for removed in keys::removed::REMOVED {
        let name = match removed.name.ends_with('.') {
            true => format!("`{}*`", removed.name),
            false => code(Some(removed.name)),
        };
        row(&mut text, &[&name, &cell(removed.instead)]);
    }
    text
}

fn topics() -> String {
    let mut text = String::from("\n| key | type | default | keys of the broker | what it does |\n");
    text.push_str("|---|---|---|---|---|\n");
    for def in topic_config::TABLE {
        let kind = format!("{:?}", def.kind).to_lowercase();
        let of_broker: Vec<String> =
            def.synonyms.iter().map(|synonym| code(Some(synonym.name))).collect();
        let default = code(Some(def.default));
        let (name, doc) = (code(Some(def.name)), cell(def.doc));
        row(&mut text, &[&name, &kind, &default, &of_broker.join(", "), &doc]);
    }
    text
}

fn table<'a>(defs: impl Iterator<Item = &'a Def>) -> String {
    let mut text = String::from("\n| key | type | default | allowed | what it does |\n");
    text.push_str("|---|---|---|---|---|\n");
    for def in defs {
        let (name, default, doc) = (code(Some(def.name)), code(def.default), cell(def.doc));
        row(&mut text, &[&name, &kind(def), &default, &cell(&def.expected()), &doc]);
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn kind(def: &Def) -> String {
    format!("{:?}", def.kind).to_lowercase()
}

fn changes(def: &Def) -> &'static str {
    match def.update {
        Update::ReadOnly => "",
        Update::PerBroker => "one broker",
        Update::ClusterWide => "all brokers",
    }
}

fn code(text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| format!("`{text}`")).unwrap_or_default()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Every key of topics.
pub fn topic_keys() -> impl Iterator<Item = &'static str> {
    metadata::topic_config::TABLE.iter().map(|def| def.name)
}
