//! One configuration key: its name, type, default and limits, and how its text becomes a value.
//!
//! Defaults are kept as text and parsed like any other text, so that a default cannot hold what
//! a file could not say.

use super::value::{Value, address_counts, is_share_reset, split_list, texts};

/// The type of a key's value, as Kafka's documentation names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 16 bits.
    Short,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Any text.
    Text,
    /// The name of a class of Kafka's or of a plugin.
    Class,
    /// Texts separated by commas.
    List,
    /// A text that is never printed.
    Password,
}

/// What a value must satisfy beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// Nothing more.
    Any,
    /// A number not below this.
    AtLeast(f64),
    /// A number between these two, both included.
    Between(f64, f64),
    /// One of these texts; for a list, each element.
    OneOf(&'static [&'static str]),
    /// One of these texts in whatever case.
    OneOfAnyCase(&'static [&'static str]),
    /// Codec level of gzip: -1 or 1 to 9.
    GzipLevel,
    /// Where a share group begins: `earliest`, `latest`, `by_duration:` and a duration of ISO 8601.
    ShareReset,
    /// `ADDRESS:COUNT` pairs, separated by commas.
    AddressCounts,
}

/// Whether this broker acts on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The key changes what this broker does.
    Applied,
    /// Apache Kafka has the key; here it changes nothing (yet). Accepted, and listed at start.
    Accepted,
    /// As `Accepted`, and Kafka itself calls the key deprecated; the text says what replaces it.
    Deprecated(&'static str),
}

/// Whether and where a key can be changed while the broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// On one broker.
    PerBroker,
    /// On one broker, or for all brokers at once.
    ClusterWide,
}

/// A configuration key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Def {
    /// The key's name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default as text; `None` where the key is unset by default.
    pub default: Option<&'static str>,
    /// Limits beyond the type.
    pub check: Check,
    /// A text or a list must hold something.
    pub filled: bool,
    /// The topic-level key for which this key is the default.
    pub topic: Option<&'static str>,
    /// One sentence on what the key does here.
    pub doc: &'static str,
    /// Whether this broker acts on it.
    pub role: Role,
    /// Whether it can change while the broker runs.
    pub update: Update,
    /// Kafka has the key and does not speak of it: it is described only where it is set.
    pub internal: bool,
}

impl Kind {
    /// The number of the protocol.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// Begins the definition of a boolean key.
pub const fn boolean(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Boolean, Some(default))
}

/// Begins the definition of a 16-bit key.
pub const fn short(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Short, Some(default))
}

/// Begins the definition of a 32-bit key.
pub const fn int(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Int, Some(default))
}

/// Begins the definition of a 64-bit key.
pub const fn long(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Long, Some(default))
}

/// Begins the definition of a fractional key.
pub const fn double(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Double, Some(default))
}

/// Begins the definition of a text key.
pub const fn text(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Text, Some(default))
}

/// Begins the definition of a key that names a class.
pub const fn class(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::Class, Some(default))
}

/// Begins the definition of a key with a list of texts.
pub const fn list(name: &'static str, default: &'static str) -> Def {
    Def::new(name, Kind::List, Some(default))
}

/// Begins the definition of a key that is unset by default.
pub const fn unset(name: &'static str, kind: Kind) -> Def {
    Def::new(name, kind, None)
}

impl Def {
    const fn new(name: &'static str, kind: Kind, default: Option<&'static str>) -> Self {
        Self {
            name,
            kind,
            default,
            check: Check::Any,
            filled: false,
            topic: None,
            doc: "",
            role: Role::Accepted,
            update: Update::ReadOnly,
            internal: false,
        }
    }

    /// Sets the smallest allowed number.
    pub const fn min(mut self, min: f64) -> Self {
        self.check = Check::AtLeast(min);
        self
    }

    /// Sets the smallest and the largest allowed number.
    pub const fn range(mut self, min: f64, max: f64) -> Self {
        self.check = Check::Between(min, max);
        self
    }

    /// Sets another check.
    pub const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// An empty text or list is refused.
    pub const fn filled(mut self) -> Self {
        self.filled = true;
        self
    }

    /// Names the topic-level key that falls back to this one.
    pub const fn topic(mut self, topic: &'static str) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Documents the key, and with that says that the broker acts on it.
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self.role = Role::Applied;
        self
    }

    /// The key can change on one broker while it runs.
    pub const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    /// The key can change on one broker or on all of them while they run.
    pub const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    /// The key is not for users.
    pub const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Marks the key as deprecated by Kafka itself.
    pub const fn deprecated(mut self, instead: &'static str) -> Self {
        self.role = Role::Deprecated(instead);
        self
    }

    /// Turns text into this key's value.
    ///
    /// # Errors
    /// What was expected, in words that fit after "expected".
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let value = self.parse_kind(text)?;
        let empty = match &value {
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            _ => false,
        };
        match self.allows(&value) && !(self.filled && empty) {
            true => Ok(value),
            false => Err(self.expected()),
        }
    }

    fn parse_kind(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let number = |low: i64, high: i64| {
            let number = trimmed.parse::<i64>().map_err(|_| self.expected())?;
            if (low..=high).contains(&number) {
                Ok(Value::Number(number))
            } else {
                Err(self.expected())
            }
        };
        match self.kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err(self.expected()),
            Kind::Short => number(i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::Int => number(i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Long => number(i64::MIN, i64::MAX),
            Kind::Double => match trimmed.parse::<f64>() {
                Ok(number) if !number.is_nan() => Ok(Value::Double(number)),
                _ => Err(self.expected()),
            },
            Kind::Text | Kind::Class => Ok(Value::Text(trimmed.to_owned())),
            Kind::Password => Ok(Value::Text(text.to_owned())),
            Kind::List => match split_list(trimmed) {
                Some(items) => Ok(Value::List(items)),
                None => Err(format!("{}, without empty elements", self.expected())),
            },
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the limits of longs are small numbers")]
    fn allows(&self, value: &Value) -> bool {
        let number = match value {
            Value::Number(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            _ => None,
        };
        match (self.check, number) {
            (Check::Any, _) => true,
            (Check::AtLeast(min), Some(number)) => number >= min,
            (Check::Between(min, max), Some(number)) => number >= min && number <= max,
            (Check::GzipLevel, Some(number)) => number == -1.0 || (1.0..=9.0).contains(&number),
            (Check::OneOf(allowed), _) => texts(value).all(|text| allowed.contains(&text)),
            (Check::OneOfAnyCase(allowed), _) => {
                texts(value).all(|text| allowed.iter().any(|one| one.eq_ignore_ascii_case(text)))
            }
            (Check::ShareReset, _) => texts(value).all(is_share_reset),
            (Check::AddressCounts, _) => texts(value).all(|text| address_counts(text).is_some()),
            _ => false,
        }
    }

    /// What the key expects, in words that fit after "expected".
    #[must_use]
    pub fn expected(&self) -> String {
        let kind = match self.kind {
            Kind::Boolean => "true or false",
            Kind::Short => "a whole number from -32768 to 32767",
            Kind::Int => "a whole number of 32 bits",
            Kind::Long => "a whole number of 64 bits",
            Kind::Double => "a number",
            Kind::Text | Kind::Class | Kind::Password => "a text",
            Kind::List => "a list separated by commas",
        };
        let kind = match self.filled {
            true => format!("{kind} that is not empty"),
            false => kind.to_owned(),
        };
        match self.check {
            Check::Any => kind,
            Check::AtLeast(min) => format!("{kind}, at least {min}"),
            Check::Between(min, max) => format!("{kind}, from {min} to {max}"),
            Check::GzipLevel => format!("{kind}, -1 or from 1 to 9"),
            Check::ShareReset => "earliest, latest, or by_duration: and a duration".to_owned(),
            Check::AddressCounts => "ADDRESS:COUNT, separated by commas".to_owned(),
            Check::OneOf(allowed) | Check::OneOfAnyCase(allowed) if self.kind == Kind::List => {
                format!("a list of {}, separated by commas", allowed.join(" | "))
            }
            Check::OneOf(allowed) | Check::OneOfAnyCase(allowed) => allowed.join(" | "),
        }
    }
}
