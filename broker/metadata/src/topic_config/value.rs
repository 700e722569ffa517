//! The types of configuration values and how they are read.

/// The type of a configuration value; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// A 32-bit number.
    Int = 3,
    /// A 64-bit number.
    Long = 5,
    /// A floating number.
    Double = 6,
    /// Texts, separated by commas.
    List = 7,
}

impl Kind {
    /// The number of the protocol.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A parsed configuration value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of `Kind::Boolean`.
    Boolean(bool),
    /// Of `Kind::String`.
    String(String),
    /// Of `Kind::Int`.
    Int(i32),
    /// Of `Kind::Long`.
    Long(i64),
    /// Of `Kind::Double`.
    Double(f64),
    /// Of `Kind::List`.
    List(Vec<String>),
}

impl Value {
    /// Reads a value; the error says what was expected.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |of: &str| format!("Not a number of type {of}");
        match kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Self::Boolean(true)),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Self::Boolean(false)),
            Kind::Boolean => Err("Expected value to be either true or false".to_owned()),
            Kind::String => Ok(Self::String(text.to_owned())),
            Kind::Int => text.parse().map(Self::Int).map_err(|_| number("INT")),
            Kind::Long => text.parse().map(Self::Long).map_err(|_| number("LONG")),
            Kind::Double => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Self::Double(value)),
                _ => Err(number("DOUBLE")),
            },
            Kind::List if text.is_empty() => Ok(Self::List(Vec::new())),
            Kind::List => {
                Ok(Self::List(text.split(',').map(|item| item.trim().to_owned()).collect()))
            }
        }
    }
}

impl std::fmt::Display for Value {
    /// As Kafka prints values of this type.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(value),
            Self::Int(value) => write!(f, "{value}"),
            Self::Long(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&crate::broker_config::java_double(*value)),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}
