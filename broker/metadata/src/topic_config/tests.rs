//! The table's order and defaults, and what validation says.

use super::*;

fn kafka() -> Defaults {
    Defaults::from_broker(|_| None).unwrap()
}

#[test]
fn the_table_is_sorted_and_its_defaults_are_legal() {
    assert!(TABLE.windows(2).all(|w| w[0].name < w[1].name));
    for def in TABLE {
        def.parse(def.default).unwrap();
        assert!(std::ptr::eq(find(def.name).unwrap(), def));
        assert!(!def.doc.is_empty());
    }
    assert!(find("no.such.key").is_none());
}

#[test]
fn values_are_checked() {
    let defaults = kafka();
    let check = |name: &str, value: &str| defaults.validate([(name, value)]).map(|_| ());
    for (name, value) in [
        ("retention.ms", "-1"),
        ("retention.bytes", "-7"),
        ("cleanup.policy", "compact,delete"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "delete, compact"),
        ("cleanup.policy", "delete,delete"),
        ("compression.gzip.level", "-1"),
        ("compression.zstd.level", "-131072"),
        ("preallocate", "TRUE"),
        ("min.cleanable.dirty.ratio", "1"),
        ("leader.replication.throttled.replicas", "0:1,1:2"),
        ("leader.replication.throttled.replicas", "*"),
        ("segment.bytes", "1048576"),
    ] {
        assert_eq!(check(name, value), Ok(()), "{name}={value}");
    }
    for (name, value, why) in [
        ("retention.ms", "-2", "Value must be at least -1"),
        ("retention.ms", "1x", "Not a number of type LONG"),
        ("segment.bytes", "2147483648", "Not a number of type INT"),
        ("segment.bytes", "1048575", "Value must be at least 1048576"),
        ("compression.gzip.level", "0", "Value must be at least 1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "NaN", "Not a number of type DOUBLE"),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("message.timestamp.type", "x", "String must be one of: CreateTime, LogAppendTime"),
        ("cleanup.policy", "drop", "String must be one of: compact, delete"),
        ("cleanup.policy", "delete,", "String must be one of: compact, delete"),
    ] {
        let err = check(name, value).unwrap_err().to_string();
        assert_eq!(err, format!("Invalid value {value} for configuration {name}: {why}"));
    }
    assert_eq!(check("nope", "1").unwrap_err().to_string(), "Unknown topic config name: nope");
    let both = [("min.compaction.lag.ms", "20"), ("max.compaction.lag.ms", "10")];
    assert!(matches!(defaults.validate(both), Err(ConfigError::Conflict { .. })));
    assert!(matches!(check("remote.storage.enable", "true"), Err(ConfigError::Conflict { .. })));
}

#[test]
fn synonyms_give_defaults_in_order_of_strength() {
    let set = |pairs: &'static [(&'static str, &'static str)]| {
        Defaults::from_broker(|key| {
            pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned())
        })
    };
    let defaults = set(&[("log.retention.hours", "2"), ("log.retention.minutes", "7")]).unwrap();
    let retention = defaults.get("retention.ms").unwrap();
    assert_eq!((retention.text.as_str(), retention.source), ("420000", Source::StaticBroker));
    let unlimited = set(&[("log.retention.hours", "-1")]).unwrap();
    assert_eq!(unlimited.get("retention.ms").unwrap().value, Value::Long(-1));
    assert!(set(&[("log.segment.bytes", "5")]).is_err());

    let resolved = defaults.resolve([("retention.ms", "9"), ("gone.key", "x")]);
    assert_eq!(resolved.long("retention.ms", 0), 9);
    assert_eq!(resolved.get("retention.ms").unwrap().source, Source::Topic);
    assert_eq!(resolved.int("segment.bytes", 0), 1 << 30);
    assert!(resolved.list_has("cleanup.policy", "delete"));
    assert_eq!(resolved.string("compression.type"), "producer");
}
