//! The value of a configuration key, and how Kafka reads and prints it.

// Addresses are values here; sockets are not in `core`.
use core::net::IpAddr;

/// The value of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// From `Boolean`.
    Boolean(bool),
    /// From `Short`, `Int` and `Long`.
    Number(i64),
    /// From `Double`.
    Double(f64),
    /// From `Text` and `Password`.
    Text(String),
    /// From `List`.
    List(Vec<String>),
}

impl std::fmt::Display for Value {
    /// As Kafka prints values of this type.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&java_double(*value)),
            Self::Text(value) => f.write_str(value),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// A double as Java prints it: never without a fraction, with an exponent from 10^7 on.
pub(crate) fn java_double(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) && size.is_finite() {
        let text = format!("{value:E}");
        return match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        };
    }
    format!("{value:?}")
}

/// The pairs of [`Check::AddressCounts`]; `None` when the text is something else.
#[must_use]
pub fn address_counts(text: &str) -> Option<Vec<(IpAddr, usize)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let parse = |pair: &str| {
        let (address, count) = pair.rsplit_once(':')?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Some((address.parse().ok()?, count.trim().parse().ok()?))
    };
    pairs.map(parse).collect()
}

pub(super) fn is_share_reset(text: &str) -> bool {
    if let Some(duration) = text.strip_prefix("by_duration:") {
        let rest = duration.strip_prefix(['P', 'p']);
        return rest.is_some_and(|rest| {
            let legal = |c: char| c.is_ascii_digit() || "DdTtHhMmSs.".contains(c);
            rest.chars().any(|c| c.is_ascii_digit()) && rest.chars().all(legal)
        });
    }
    text == "earliest" || text == "latest"
}

/// The elements of a list, each once, as Kafka reads it; `None` when one of them is empty.
pub(super) fn split_list(text: &str) -> Option<Vec<String>> {
    let mut items = Vec::new();
    for item in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        if item.is_empty() {
            return None;
        }
        if !items.iter().any(|known| known == item) {
            items.push(item.to_owned());
        }
    }
    Some(items)
}

pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Value::Text(text) => (Some(text.as_str()), [].as_slice()),
        Value::List(list) => (None, list.as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter().chain(many.iter().map(String::as_str))
}
