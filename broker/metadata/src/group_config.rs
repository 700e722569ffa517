//! What can be set on a group, and on a subscription to clients' metrics: keys, types and limits of
//! Kafka 4.3.
//!
//! A key of a group is the broker's key without its `group.`, which gives it its default; the
//! broker's `group.X.min.Y` and `group.X.max.Y` bound it.

use std::collections::BTreeMap;

use wire::ErrorCode;

use crate::broker_config::{Check, Def, Layers, Value, boolean, int, list, text};

/// The definitions of one kind of resource, ascending by name.
pub type Table = &'static [Def];

/// The keys of a group.
pub const GROUP: Table = &[
    int("consumer.assignment.interval.ms", "1000")
        .min(0.0)
        .doc("How often the assignment of a consumer group changes at most."),
    int("consumer.heartbeat.interval.ms", "5000")
        .min(1.0)
        .doc("How often members of a consumer group are told to heartbeat."),
    int("consumer.session.timeout.ms", "45000")
        .min(1.0)
        .doc("After how long without a heartbeat a member of a consumer group is gone."),
    int("share.assignment.interval.ms", "1000")
        .min(0.0)
        .doc("How often the assignment of a share group changes at most."),
    text("share.auto.offset.reset", "latest")
        .check(Check::ShareReset)
        .doc("Where a share group begins: earliest, latest, or by_duration:P1D and the like."),
    int("share.delivery.count.limit", "5")
        .min(2.0)
        .doc("How often a record is delivered to a share group at most."),
    int("share.heartbeat.interval.ms", "5000")
        .min(1.0)
        .doc("How often members of a share group are told to heartbeat."),
    text("share.isolation.level", "read_uncommitted")
        .check(Check::OneOf(&["read_committed", "read_uncommitted"]))
        .doc("Whether a share group sees records of aborted transactions."),
    int("share.partition.max.record.locks", "2000")
        .min(100.0)
        .doc("How many records of a partition a share group holds at once."),
    int("share.record.lock.duration.ms", "30000")
        .min(1000.0)
        .doc("For how long a share group holds a record for a member."),
    boolean("share.renew.acknowledge.enable", "true")
        .doc("Whether members of a share group may hold a record for longer."),
    int("share.session.timeout.ms", "45000")
        .min(1.0)
        .doc("After how long without a heartbeat a member of a share group is gone."),
    int("streams.assignment.interval.ms", "1000")
        .min(0.0)
        .doc("How often the assignment of a streams group changes at most."),
    int("streams.heartbeat.interval.ms", "5000")
        .min(1.0)
        .doc("How often members of a streams group are told to heartbeat."),
    int("streams.initial.rebalance.delay.ms", "3000")
        .min(0.0)
        .doc("How long the first assignment of a streams group waits for more members."),
    int("streams.num.standby.replicas", "0")
        .min(0.0)
        .doc("How many copies of a task's state a streams group keeps ready."),
    int("streams.session.timeout.ms", "45000")
        .min(1.0)
        .doc("After how long without a heartbeat a member of a streams group is gone."),
];

/// The keys of a subscription to clients' metrics.
pub const CLIENT_METRICS: Table = &[
    int("interval.ms", "300000").doc("How often clients push their metrics."),
    list("match", "").doc("Which clients push: name=pattern, separated by commas."),
    list("metrics", "").doc("Prefixes of the names of the metrics that are pushed."),
];

/// What a subscription can be matched by.
const MATCHED_BY: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The broker's key that gives a group's key its default.
pub fn broker_key(name: &str) -> String {
    format!("group.{name}")
}

/// Checks everything that is set on a group; the error is what is wrong with it.
pub(crate) fn validate(
    layers: &Layers<'_>,
    configs: &BTreeMap<String, String>,
) -> Result<(), String> {
    check_each(GROUP, "group config name", configs)?;
    let number = |name: &str| -> Option<i64> {
        let own = configs.get(name).cloned();
        let text = own.or_else(|| layers.value(&broker_key(name)).map(|setting| setting.text));
        let default = || GROUP.iter().find(|def| def.name == name)?.default.map(str::to_owned);
        text.or_else(default)?.trim().parse().ok()
    };
    let bound = |key: &str| -> Option<i64> { layers.value(key)?.text.trim().parse().ok() };
    for def in GROUP {
        let Some((kind, rest)) = def.name.split_once('.') else { continue };
        let Some(value) = number(def.name) else { continue };
        let least = format!("group.{kind}.min.{rest}");
        let most = match rest {
            "num.standby.replicas" => format!("group.{kind}.max.standby.replicas"),
            rest => format!("group.{kind}.max.{rest}"),
        };
        // What is not set on the group was checked against these when the broker's was.
        if rest == "assignment.interval.ms" && !configs.contains_key(def.name) {
            continue;
        }
        if bound(&least).is_some_and(|least| value < least) {
            return Err(format!("{} must be greater than or equal to {least}", def.name));
        }
        if bound(&most).is_some_and(|most| value > most) {
            return Err(format!("{} must be less than or equal to {most}", def.name));
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{kind}.session.timeout.ms"), format!("{kind}.heartbeat.interval.ms"));
        if number(&session) <= number(&heartbeat) {
            return Err(format!("{session} must be greater than {heartbeat}"));
        }
    }
    Ok(())
}

/// Checks everything that is set on a subscription.
pub(crate) fn validate_client_metrics(
    configs: &BTreeMap<String, String>,
) -> Result<(), (ErrorCode, String)> {
    let request = |why: String| (ErrorCode::InvalidRequest, why);
    check_each(CLIENT_METRICS, "client metrics configuration", configs).map_err(request)?;
    if let Some(interval) = configs.get("interval.ms") {
        let number: i64 = interval.trim().parse().unwrap_or_default();
        if !(100..=3_600_000).contains(&number) {
            let why = format!(
                "Invalid value {interval} for interval.ms, interval must be between 100 and \
                 3600000 (1 hour)"
            );
            return Err(request(why));
        }
    }
    let patterns = configs.get("match").map(String::as_str).unwrap_or_default();
    for pattern in patterns.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        let name = pattern.split_once('=').map(|(name, _)| name.trim());
        if name.is_none_or(|name| !MATCHED_BY.contains(&name)) {
            return Err((
                ErrorCode::InvalidConfig,
                format!("Illegal client matching pattern: {pattern}"),
            ));
        }
    }
    Ok(())
}

fn check_each(table: Table, what: &str, configs: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in configs {
        let Some(def) = table.iter().find(|def| def.name == name) else {
            return Err(format!("Unknown {what}: {name}"));
        };
        let _: Value = def.parse(value).map_err(|expected| {
            format!("Invalid value {value} for configuration {name}: expected {expected}")
        })?;
    }
    Ok(())
}
