//! Configurations altered and described, resource by resource.

use std::collections::BTreeMap;

use wire::messages::alter_configs_request as replace;
use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use wire::messages::describe_configs_response::DescribeConfigsResult;
use wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire::messages::list_config_resources_request::ListConfigResourcesRequest;

use super::*;
use crate::broker_config::{Def, Kind, int, list, long, text, unset};
use crate::control::configs::{alter_configs, incremental_alter_configs};
use crate::control::describe_configs::{Subject, describe_configs};
use crate::control::list_config_resources::list_config_resources;
use crate::image::Resource;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

/// A few keys of a broker.
static KEYS: &[Def] = &[
    unset("log.retention.ms", Kind::Long).min(-1.0).topic("retention.ms").cluster_wide(),
    unset("log.retention.minutes", Kind::Int),
    int("log.retention.hours", "168"),
    int("message.max.bytes", "1048588").min(0.0).cluster_wide(),
    int("num.io.threads", "8").min(1.0).cluster_wide(),
    int("node.id", "0"),
    list("cordoned.log.dirs", "").per_broker(),
    list("log.cleanup.policy", "delete").cluster_wide(),
    unset("ssl.keystore.password", Kind::Password).per_broker(),
    text("tidelog.log.level", "info"),
    unset("tidelog.cluster.id", Kind::Text),
    long("internal.thing", "3").internal(),
    int("group.consumer.session.timeout.ms", "45000"),
    int("group.consumer.min.session.timeout.ms", "40000"),
    int("group.consumer.max.session.timeout.ms", "60000"),
];

fn harness(set: &[(&str, &str)]) -> Harness {
    let mut h = Harness::with_brokers(&[1]);
    let set: BTreeMap<String, String> =
        set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    h.settings.node_id = BrokerId(1);
    h.settings.topic_defaults =
        topic_config::Defaults::from_broker(|key| set.get(key).cloned()).unwrap();
    h.settings.broker = BrokerKeys::new(KEYS, set);
    h.create_one(configured("t", "retention.ms", Some("5")));
    h
}

type Op<'a> = (i8, &'a str, Option<&'a str>);

fn resource(kind: i8, name: &str, ops: &[Op<'_>]) -> AlterConfigsResource {
    let config = |(op, key, value): &Op<'_>| AlterableConfig {
        name: (*key).to_owned(),
        config_operation: *op,
        value: value.map(str::to_owned),
    };
    let configs = ops.iter().map(config).collect();
    AlterConfigsResource { resource_type: kind, resource_name: name.to_owned(), configs }
}

fn alter_all(
    h: &mut Harness,
    validate_only: bool,
    resources: Vec<AlterConfigsResource>,
) -> Vec<ErrorCode> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only };
    let decision = h.decide(|ctx| incremental_alter_configs(ctx, &request));
    h.apply(&decision.records);
    let code = |code: i16| ErrorCode::from_i16(code).unwrap();
    decision.response.responses.iter().map(|response| code(response.error_code)).collect()
}

fn alter(h: &mut Harness, kind: i8, name: &str, ops: &[Op<'_>]) -> ErrorCode {
    alter_all(h, false, vec![resource(kind, name, ops)])[0]
}

fn set(h: &mut Harness, kind: i8, name: &str, key: &str, value: &str) -> ErrorCode {
    alter(h, kind, name, &[(0, key, Some(value))])
}

fn replaced(h: &mut Harness, kind: i8, name: &str, configs: &[(&str, Option<&str>)]) -> ErrorCode {
    let config = |(key, value): &(&str, Option<&str>)| replace::AlterableConfig {
        name: (*key).to_owned(),
        value: value.map(str::to_owned),
    };
    let resource = replace::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.iter().map(config).collect(),
    };
    let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
    let decision = h.decide(|ctx| alter_configs(ctx, &request));
    h.apply(&decision.records);
    ErrorCode::from_i16(decision.response.responses[0].error_code).unwrap()
}

fn describe(h: &Harness, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    let loggers = BTreeMap::from([("root".to_owned(), "INFO".to_owned())]);
    let subject = Subject { image: &h.image, settings: &h.settings, loggers: &loggers };
    describe_configs(&subject, &request).results.remove(0)
}

/// The value of a key, its source, and its synonyms with theirs.
fn told(h: &Harness, kind: i8, name: &str, key: &str) -> (Option<String>, i8, Vec<(String, i8)>) {
    let one = describe(h, kind, name, Some(&[key])).configs.remove(0);
    let synonyms = one.synonyms.into_iter();
    let synonyms = synonyms.map(|s| {
        let value = s.value.unwrap_or_else(|| "null".to_owned());
        (format!("{}={value}", s.name), s.source)
    });
    (one.value, one.config_source, synonyms.collect())
}

fn synonyms(expected: &[(&str, i8)]) -> Vec<(String, i8)> {
    expected.iter().map(|(text, source)| ((*text).to_owned(), *source)).collect()
}

#[test]
fn topic_configs_are_altered_key_by_key() {
    let mut h = harness(&[]);
    let ops: &[Op<'_>] = &[
        (0, "segment.ms", Some("7")),
        (1, "retention.ms", None),
        (1, "never.set", None),
        (2, "cleanup.policy", Some("compact")),
    ];
    assert_eq!(alter(&mut h, TOPIC, "t", ops), ErrorCode::None);
    let set: Vec<_> = h.image.configs.of_topic("t").collect();
    assert_eq!(set, [("cleanup.policy", "delete,compact"), ("segment.ms", "7")]);
    let twice = [(2, "cleanup.policy", Some("compact"))];
    assert_eq!(alter(&mut h, TOPIC, "t", &twice), ErrorCode::None);
    let subtract = [(3, "cleanup.policy", Some("delete,nothing"))];
    assert_eq!(alter(&mut h, TOPIC, "t", &subtract), ErrorCode::None);
    assert_eq!(h.image.configs.of_topic("t").next(), Some(("cleanup.policy", "compact")));
    let before = h.image.clone();
    for (kind, name, op, expected) in [
        (TOPIC, "nope", (0, "segment.ms", Some("7")), ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "nope", (0, "segment.ms", Some("0")), ErrorCode::InvalidConfig),
        (TOPIC, "", (0, "segment.ms", Some("7")), ErrorCode::InvalidRequest),
        (TOPIC, "a b", (0, "segment.ms", Some("7")), ErrorCode::InvalidTopicException),
        (TOPIC, "t", (0, "segment.ms", Some("0")), ErrorCode::InvalidConfig),
        (TOPIC, "t", (0, "segment.ms", None), ErrorCode::InvalidRequest),
        (TOPIC, "t", (0, "no.such", Some("1")), ErrorCode::InvalidConfig),
        (TOPIC, "t", (2, "segment.ms", Some("1")), ErrorCode::InvalidConfig),
        (TOPIC, "t", (3, "no.such", Some("1")), ErrorCode::InvalidConfig),
        (TOPIC, "t", (9, "segment.ms", Some("1")), ErrorCode::InvalidRequest),
        (0, "t", (0, "segment.ms", Some("1")), ErrorCode::InvalidRequest),
        (3, "t", (0, "segment.ms", Some("1")), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(alter(&mut h, kind, name, &[op]), expected, "{op:?}");
    }
    let doubled = [(0, "segment.ms", Some("1")), (1, "segment.ms", None)];
    assert_eq!(alter(&mut h, TOPIC, "t", &doubled), ErrorCode::InvalidRequest);
    // One bad key keeps the good ones of its resource from changing.
    let mixed = [(0, "segment.ms", Some("9")), (0, "retention.ms", Some("soon"))];
    assert_eq!(alter(&mut h, TOPIC, "t", &mixed), ErrorCode::InvalidConfig);
    assert_eq!(h.image, before);
}

#[test]
fn resources_of_one_request_stand_for_themselves() {
    let mut h = harness(&[]);
    h.create_one(topic("u", 1, 1));
    let good = || resource(TOPIC, "t", &[(0, "segment.ms", Some("7"))]);
    let bad = || resource(TOPIC, "u", &[(0, "segment.ms", Some("0"))]);
    let before = h.image.clone();
    let validated = alter_all(&mut h, true, vec![good(), bad()]);
    assert_eq!(validated, [ErrorCode::None, ErrorCode::InvalidConfig]);
    let twice = alter_all(&mut h, false, vec![good(), good()]);
    assert_eq!(twice, [ErrorCode::InvalidRequest; 2]);
    assert_eq!(h.image, before);
    let altered = alter_all(&mut h, false, vec![bad(), good()]);
    assert_eq!(altered, [ErrorCode::InvalidConfig, ErrorCode::None]);
    assert_eq!(h.image.configs.of_topic("t").count(), 2);
    assert_eq!(h.image.configs.of_topic("u").count(), 0);
}

#[test]
fn a_request_that_would_fill_the_metadata_log_is_refused() {
    let mut h = harness(&[]);
    let before = h.image.clone();
    let long = "0:1,".repeat(1 << 20) + "0:1";
    let key = "leader.replication.throttled.replicas";
    assert_eq!(set(&mut h, TOPIC, "t", key, &long), ErrorCode::PolicyViolation);
    let names: Vec<String> = (0..10_001).map(|i| format!("of.a.plugin.{i}")).collect();
    let ops: Vec<Op<'_>> = names.iter().map(|name| (0, name.as_str(), Some("x"))).collect();
    assert_eq!(alter(&mut h, BROKER, "1", &ops), ErrorCode::PolicyViolation);
    assert_eq!(h.image, before);
    assert_eq!(alter(&mut h, BROKER, "1", &ops[1..]), ErrorCode::None);
}

#[test]
fn alter_configs_replaces_everything() {
    let mut h = harness(&[]);
    let new = [("segment.ms", Some("7")), ("flush.ms", Some("9"))];
    assert_eq!(replaced(&mut h, TOPIC, "t", &new), ErrorCode::None);
    let now: Vec<_> = h.image.configs.of_topic("t").collect();
    assert_eq!(now, [("flush.ms", "9"), ("segment.ms", "7")]);
    let null = [("segment.ms", None)];
    assert_eq!(replaced(&mut h, TOPIC, "t", &null), ErrorCode::InvalidRequest);
    let bad = [("segment.ms", Some("0"))];
    assert_eq!(replaced(&mut h, TOPIC, "t", &bad), ErrorCode::InvalidConfig);
    assert_eq!(replaced(&mut h, LOGGER, "1", &[("root", Some("INFO"))]), ErrorCode::InvalidRequest);
    assert_eq!(h.image.configs.of_topic("t").count(), 2);
    assert_eq!(replaced(&mut h, TOPIC, "t", &[]), ErrorCode::None);
    assert_eq!(h.image.configs.of_topic("t").count(), 0);
    // What is ours beside the brokers' keys stays.
    assert_eq!(set(&mut h, BROKER, "", "message.max.bytes", "7"), ErrorCode::None);
    let id = h.image.cluster_id().map(str::to_owned);
    assert!(id.is_some());
    assert_eq!(replaced(&mut h, BROKER, "", &[]), ErrorCode::None);
    assert_eq!(h.image.cluster_id().map(str::to_owned), id);
    assert_eq!(h.image.configs.value(&Resource::all_brokers(), "message.max.bytes"), None);
}

#[test]
fn broker_configs_are_altered_where_they_can_change() {
    let mut h = harness(&[]);
    assert_eq!(set(&mut h, BROKER, "", "message.max.bytes", "7"), ErrorCode::None);
    assert_eq!(set(&mut h, BROKER, "1", "message.max.bytes", "8"), ErrorCode::None);
    assert_eq!(set(&mut h, BROKER, "1", "cordoned.log.dirs", "/a"), ErrorCode::None);
    let append = [(2, "cordoned.log.dirs", Some("/b"))];
    assert_eq!(alter(&mut h, BROKER, "1", &append), ErrorCode::None);
    let own = Resource::broker(BrokerId(1));
    assert_eq!(h.image.configs.value(&own, "cordoned.log.dirs"), Some("/a,/b"));
    assert_eq!(set(&mut h, BROKER, "1", "of.a.plugin", "secret"), ErrorCode::None);
    assert_eq!(set(&mut h, BROKER, "1", "num.io.threads", "16"), ErrorCode::None);
    let before = h.image.clone();
    for (name, op, expected) in [
        ("1", (0, "node.id", Some("7")), ErrorCode::InvalidRequest),
        ("1", (0, "log.retention.hours", Some("7")), ErrorCode::InvalidRequest),
        ("1", (0, "tidelog.log.level", Some("off")), ErrorCode::InvalidRequest),
        ("", (0, "tidelog.cluster.id", Some("mine")), ErrorCode::InvalidRequest),
        ("1", (0, "message.max.bytes", Some("much")), ErrorCode::InvalidRequest),
        ("1", (0, "message.max.bytes", Some("-1")), ErrorCode::InvalidRequest),
        ("1", (0, "ssl.keystore.password", Some("x")), ErrorCode::InvalidRequest),
        ("", (0, "cordoned.log.dirs", Some("/a")), ErrorCode::InvalidRequest),
        ("", (0, "listener.name.x.ssl.keystore.password", Some("x")), ErrorCode::InvalidRequest),
        ("1", (0, "num.io.threads", Some("33")), ErrorCode::InvalidRequest),
        ("1", (0, "num.io.threads", Some("7")), ErrorCode::InvalidRequest),
        ("1", (2, "message.max.bytes", Some("1")), ErrorCode::InvalidConfig),
        ("1", (2, "no.such.list", Some("1")), ErrorCode::InvalidConfig),
        ("2", (0, "message.max.bytes", Some("9")), ErrorCode::BrokerIdNotRegistered),
        ("one", (0, "message.max.bytes", Some("9")), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(alter(&mut h, BROKER, name, &[op]), expected, "{name} {op:?}");
    }
    assert_eq!(h.image, before);
    // The controller decides for the others too, by what is set on them.
    h.register(2);
    assert_eq!(set(&mut h, BROKER, "2", "num.io.threads", "4"), ErrorCode::None);
    assert_eq!(set(&mut h, BROKER, "2", "num.io.threads", "9"), ErrorCode::InvalidRequest);
    let other = Resource::broker(BrokerId(2));
    assert_eq!(h.image.configs.value(&other, "num.io.threads"), Some("4"));
    assert_eq!(h.image.configs.value(&own, "num.io.threads"), Some("16"));
}

#[test]
fn the_strongest_setting_of_a_broker_holds_for_its_topics() {
    let mut h = harness(&[("log.retention.hours", "2")]);
    h.create_one(topic("plain", 1, 1));
    let defaults = |h: &Harness| h.settings.topic_defaults_in(&h.image);
    assert_eq!(defaults(&h).get("retention.ms").unwrap().text, "7200000");
    set(&mut h, BROKER, "", "log.retention.ms", "11");
    assert_eq!(defaults(&h).get("retention.ms").unwrap().text, "11");
    set(&mut h, BROKER, "1", "log.retention.ms", "12");
    let holds = defaults(&h);
    let retention = holds.get("retention.ms").unwrap();
    assert_eq!((retention.text.as_str(), retention.source.code()), ("12", 2));
    let plain = told(&h, TOPIC, "plain", "retention.ms");
    let all = synonyms(&[("log.retention.ms=12", 2), ("log.retention.ms=11", 3), HOURS_SET, HOURS]);
    assert_eq!(plain, (Some("12".to_owned()), 2, all));
    let own = told(&h, TOPIC, "t", "retention.ms");
    assert_eq!((own.0.as_deref(), own.1), (Some("5"), 1));
    assert_eq!(own.2[0], ("retention.ms=5".to_owned(), 1));
    assert_eq!(own.2.len(), 5);
}

const HOURS_SET: (&str, i8) = ("log.retention.hours=2", 4);
const HOURS: (&str, i8) = ("log.retention.hours=168", 5);

#[test]
fn brokers_are_described_with_their_sources() {
    let mut h = harness(&[("message.max.bytes", "6"), ("listener.name.x.thing", "secret")]);
    set(&mut h, BROKER, "", "message.max.bytes", "7");
    set(&mut h, BROKER, "1", "message.max.bytes", "8");
    let all = describe(&h, BROKER, "1", None).configs;
    let find = |name: &str| all.iter().find(|one| one.name == name);
    assert!(find("internal.thing").is_none());
    assert!(find("node.id").unwrap().read_only && !find("num.io.threads").unwrap().read_only);
    let password = find("ssl.keystore.password").unwrap();
    assert!(password.is_sensitive && password.value.is_none() && password.config_type == 9);
    let stranger = find("listener.name.x.thing").unwrap();
    assert!(stranger.is_sensitive && stranger.value.is_none() && stranger.config_source == 4);
    // That of the file, not of the metadata.
    assert!(find("tidelog.cluster.id").unwrap().value.is_none());
    let layers = [
        ("message.max.bytes=8", 2),
        ("message.max.bytes=7", 3),
        ("message.max.bytes=6", 4),
        ("message.max.bytes=1048588", 5),
    ];
    let one = told(&h, BROKER, "1", "message.max.bytes");
    assert_eq!(one, (Some("8".to_owned()), 2, synonyms(&layers)));
    let for_all = describe(&h, BROKER, "", None).configs;
    let names: Vec<&str> = for_all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["message.max.bytes"]);
    let told = told(&h, BROKER, "", "message.max.bytes");
    assert_eq!(told, (Some("7".to_owned()), 3, synonyms(&layers[1..2])));
    let mut codes = [("2", 0), ("x", 0)];
    for (name, code) in &mut codes {
        *code = describe(&h, BROKER, name, None).error_code;
    }
    let invalid = ErrorCode::InvalidRequest.code();
    assert_eq!(codes, [("2", invalid), ("x", invalid)]);
}

#[test]
fn topics_that_cannot_be_described_are_refused() {
    let h = harness(&[]);
    for every in [None, Some(&[][..])] {
        assert_eq!(describe(&h, TOPIC, "t", every).configs.len(), topic_config::TABLE.len());
    }
    assert_eq!(describe(&h, TOPIC, "t", Some(&["nope"])).configs.len(), 0);
    for (kind, name, expected) in [
        (TOPIC, "nope", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "a/b", ErrorCode::InvalidTopicException),
        (3, "1", ErrorCode::InvalidRequest),
        (LOGGER, "", ErrorCode::InvalidRequest),
        (LOGGER, "2", ErrorCode::InvalidRequest),
        (GROUP, "", ErrorCode::InvalidRequest),
        (METRICS, "", ErrorCode::InvalidRequest),
    ] {
        let result = describe(&h, kind, name, None);
        assert_eq!(result.error_code, expected.code());
        assert!(result.error_message.is_some() && result.configs.is_empty());
    }
    let loggers = describe(&h, LOGGER, "1", None).configs;
    assert_eq!((loggers[0].name.as_str(), loggers[0].config_source), ("root", 6));
}

#[test]
fn groups_and_subscriptions_have_configs_before_they_exist() {
    let mut h = harness(&[("group.consumer.session.timeout.ms", "50000")]);
    let timeout = "consumer.session.timeout.ms";
    let of_broker = synonyms(&[
        ("group.consumer.session.timeout.ms=50000", 4),
        ("group.consumer.session.timeout.ms=45000", 5),
    ]);
    assert_eq!(told(&h, GROUP, "g", timeout), (Some("50000".to_owned()), 4, of_broker));
    assert_eq!(set(&mut h, GROUP, "g", timeout, "55000"), ErrorCode::None);
    assert_eq!(told(&h, GROUP, "g", timeout).1, 8);
    assert_eq!(set(&mut h, METRICS, "m", "interval.ms", "100"), ErrorCode::None);
    let interval = told(&h, METRICS, "m", "interval.ms");
    assert_eq!(interval, (Some("100".to_owned()), 7, synonyms(&[("interval.ms=100", 7)])));
    let before = h.image.clone();
    for (kind, name, key, value, expected) in [
        (GROUP, "g", timeout, "39999", ErrorCode::InvalidConfig),
        (GROUP, "g", timeout, "60001", ErrorCode::InvalidConfig),
        (GROUP, "g", timeout, "soon", ErrorCode::InvalidConfig),
        (GROUP, "g", "consumer.heartbeat.interval.ms", "55000", ErrorCode::InvalidConfig),
        (GROUP, "g", "retention.ms", "1", ErrorCode::InvalidConfig),
        (GROUP, "g", "share.auto.offset.reset", "never", ErrorCode::InvalidConfig),
        (GROUP, "", timeout, "55000", ErrorCode::InvalidRequest),
        (METRICS, "m", "interval.ms", "99", ErrorCode::InvalidRequest),
        (METRICS, "m", "nope", "99", ErrorCode::InvalidRequest),
        (METRICS, "m", "match", "nobody=x", ErrorCode::InvalidConfig),
        (METRICS, "", "interval.ms", "100", ErrorCode::InvalidRequest),
    ] {
        assert_eq!(set(&mut h, kind, name, key, value), expected, "{key}={value}");
    }
    assert_eq!(h.image, before);
}

#[test]
fn what_can_be_configured_is_listed() {
    let mut h = harness(&[]);
    set(&mut h, GROUP, "g", "share.isolation.level", "read_committed");
    let list = |version: i16, resource_types: &[i8]| {
        let request = ListConfigResourcesRequest { resource_types: resource_types.to_vec() };
        let answer = list_config_resources(&h.image, &request, version);
        let found = answer.config_resources.into_iter();
        (answer.error_code, found.map(|r| (r.resource_type, r.resource_name)).collect::<Vec<_>>())
    };
    let of = |kind: i8, name: &str| (kind, name.to_owned());
    assert_eq!(list(0, &[]), (0, Vec::new()));
    let all = vec![of(TOPIC, "t"), of(BROKER, "1"), of(LOGGER, "1"), of(GROUP, "g")];
    assert_eq!(list(1, &[]), (0, all));
    assert_eq!(list(1, &[GROUP]), (0, vec![of(GROUP, "g")]));
    assert_eq!(list(1, &[GROUP, 3]), (ErrorCode::UnsupportedVersion.code(), Vec::new()));
}

#[test]
fn defaults_of_groups_and_subscriptions_are_legal() {
    for table in [crate::group_config::GROUP, crate::group_config::CLIENT_METRICS] {
        assert!(table.windows(2).all(|two| two[0].name < two[1].name));
        for def in table {
            def.parse(def.default.unwrap()).unwrap();
        }
    }
    let h = harness(&[]);
    assert_eq!(describe(&h, GROUP, "g", None).configs.len(), 17);
}
