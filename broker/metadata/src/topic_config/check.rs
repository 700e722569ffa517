//! Which values a configuration key accepts, alone and beside other keys.

use super::{ConfigError, Resolved, Value};

/// What a value must satisfy beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// Any value of the type.
    Any,
    /// A number that is not smaller.
    AtLeast(i64),
    /// A number within both bounds.
    Between(i64, i64),
    /// A number within the bounds, or -1.
    BetweenOrMinusOne(i64, i64),
    /// A fraction within both bounds.
    Fraction(f64, f64),
    /// One of these texts, or a list of them.
    OneOf(&'static [&'static str]),
    /// `partition:broker` pairs, or `*`.
    ThrottledReplicas,
}

impl Check {
    pub(super) fn accept(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::OneOf(allowed), Value::String(text)) => one_of(allowed, text),
            (Self::OneOf(allowed), Value::List(items)) => list_of(allowed, items),
            (Self::ThrottledReplicas, Value::List(items)) => throttled(items),
            (Self::Fraction(low, high), Value::Double(v)) => {
                if *v < low {
                    return Err(format!("Value must be at least {low}"));
                }
                if *v > high {
                    return Err(format!("Value must be no more than {high}"));
                }
                Ok(())
            }
            (check, Value::Int(v)) => check.accept_number(i64::from(*v)),
            (check, Value::Long(v)) => check.accept_number(*v),
            _ => Ok(()),
        }
    }

    fn accept_number(self, v: i64) -> Result<(), String> {
        let (low, high) = match self {
            Self::AtLeast(low) => (low, i64::MAX),
            Self::Between(low, high) => (low, high),
            Self::BetweenOrMinusOne(_, _) if v == -1 => return Ok(()),
            Self::BetweenOrMinusOne(low, high) => (low, high),
            _ => return Ok(()),
        };
        if v < low {
            return Err(format!("Value must be at least {low}"));
        }
        if v > high {
            return Err(format!("Value must be no more than {high}"));
        }
        Ok(())
    }
}

fn one_of(allowed: &[&str], text: &str) -> Result<(), String> {
    if allowed.contains(&text) {
        return Ok(());
    }
    Err(format!("String must be one of: {}", allowed.join(", ")))
}

/// A value may come twice: as with Kafka it counts once.
fn list_of(allowed: &[&str], items: &[String]) -> Result<(), String> {
    items.iter().try_for_each(|item| one_of(allowed, item))
}

fn throttled(items: &[String]) -> Result<(), String> {
    let pair = |item: &String| {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        // An empty element is none, as in Kafka.
        item.is_empty()
            || item
                .split_once(':')
                .is_some_and(|(partition, broker)| digits(partition) && digits(broker))
    };
    let all = items.len() == 1 && items.first().is_some_and(|item| item == "*");
    if all || items.iter().all(pair) {
        return Ok(());
    }
    Err("Must be the literal '*' or a list of replicas in the form \
         partition:broker,partition:broker"
        .to_owned())
}

/// What must hold between keys.
pub(super) fn across(resolved: &Resolved) -> Result<(), ConfigError> {
    let min = resolved.long("min.compaction.lag.ms", 0);
    let max = resolved.long("max.compaction.lag.ms", i64::MAX);
    if min > max {
        return Err(ConfigError::Conflict {
            why: format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > \
                 max.compaction.lag.ms ({max})"
            ),
        });
    }
    if resolved.boolean("remote.storage.enable") {
        // Until the tier exists, no broker of ours has the remote store that this asks for.
        return Err(ConfigError::Conflict {
            why: "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                  configured with remote log storage."
                .to_owned(),
        });
    }
    Ok(())
}
