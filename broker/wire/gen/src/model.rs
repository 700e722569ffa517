//! A message as its table says it, and the names it has in Rust.

/// Versions `low..=high`; empty when `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: i16,
    pub(crate) high: i16,
}

impl Range {
    pub(crate) const NONE: Self = Self { low: 1, high: 0 };

    pub(crate) fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.low <= other.low && self.high >= other.high
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }

    /// How the documentation prints it.
    pub(crate) fn text(self) -> String {
        match self {
            Self { low, high } if low == high => format!("{low}"),
            Self { low, high: i16::MAX } => format!("{low}+"),
            Self { low, high } => format!("{low}-{high}"),
        }
    }
}

/// What a table describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Data,
    CoordinatorKey,
    CoordinatorValue,
    Metadata,
}

/// The type of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

/// One field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) type_text: String,
    pub(crate) versions: Range,
    pub(crate) nullable: Range,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
    pub(crate) ignorable: bool,
    pub(crate) never_flexible: bool,
}

/// A struct of a message; the first one is the message itself.
#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) versions: Range,
    pub(crate) fields: Vec<Field>,
}

/// One message with all its structs.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) key: Option<i16>,
    pub(crate) versions: Range,
    pub(crate) flexible: Range,
    pub(crate) unstable: bool,
    pub(crate) structs: Vec<Struct>,
}

impl Message {
    pub(crate) fn module(&self) -> String {
        snake(&self.name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|found| found.name == name)
    }

    /// Whether the struct carries records that may be file ranges: those of a response.
    pub(crate) fn is_generic(&self, of: &Struct) -> bool {
        self.kind == Kind::Response
            && of.fields.iter().any(|field| self.type_is_generic(&field.kind))
    }

    fn type_is_generic(&self, kind: &Type) -> bool {
        match kind {
            Type::Records => true,
            Type::Array(element) => self.type_is_generic(element),
            Type::Struct(name) => self.find(name).is_some_and(|found| self.is_generic(found)),
            _ => false,
        }
    }

    pub(crate) fn has_float(&self, of: &Struct) -> bool {
        of.fields.iter().any(|field| self.type_has_float(&field.kind))
    }

    fn type_has_float(&self, kind: &Type) -> bool {
        match kind {
            Type::Float64 => true,
            Type::Array(element) => self.type_has_float(element),
            Type::Struct(name) => self.find(name).is_some_and(|found| self.has_float(found)),
            _ => false,
        }
    }

    /// The type in Rust, without the option of a nullable field.
    pub(crate) fn rust_type(&self, kind: &Type) -> String {
        match kind {
            Type::Bool => "bool".into(),
            Type::Int8 => "i8".into(),
            Type::Int16 => "i16".into(),
            Type::Uint16 => "u16".into(),
            Type::Int32 => "i32".into(),
            Type::Uint32 => "u32".into(),
            Type::Int64 => "i64".into(),
            Type::Float64 => "f64".into(),
            Type::Uuid => "Uuid".into(),
            Type::String => "String".into(),
            Type::Bytes => "Bytes".into(),
            Type::Records if self.kind == Kind::Response => "Records<R>".into(),
            Type::Records => "Bytes".into(),
            Type::Struct(name) if self.type_is_generic(kind) => format!("{name}<R>"),
            Type::Struct(name) => name.clone(),
            Type::Array(element) => format!("Vec<{}>", self.rust_type(element)),
        }
    }

    /// The least number of bytes that a value takes at any version.
    pub(crate) fn min_size(&self, kind: &Type) -> usize {
        (self.versions.low..=self.versions.high)
            .map(|version| self.size_at(kind, version, self.flexible.contains(version)))
            .min()
            .unwrap_or(1)
            .max(1)
    }

    fn size_at(&self, kind: &Type, version: i16, flexible: bool) -> usize {
        match kind {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            _ if flexible && !matches!(kind, Type::Struct(_)) => 1,
            Type::String => 2,
            Type::Bytes | Type::Records | Type::Array(_) => 4,
            Type::Struct(name) => {
                let fields = self.find(name).map(|found| found.fields.as_slice());
                let size: usize = fields
                    .unwrap_or_default()
                    .iter()
                    .filter(|field| field.tag.is_none() && field.versions.contains(version))
                    .map(|field| match field.kind {
                        Type::Struct(_) if !field.nullable.is_empty() => 1,
                        _ => self.size_at(&field.kind, version, flexible),
                    })
                    .sum();
                size + usize::from(flexible)
            }
        }
    }
}

impl Field {
    pub(crate) fn is_optional(&self) -> bool {
        !self.nullable.is_empty() || self.kind == Type::Records
    }

    /// The field's name in Rust.
    pub(crate) fn rust_name(&self) -> String {
        let name = snake(&self.name);
        match name.as_str() {
            "type" | "match" | "ref" | "move" | "use" | "in" | "for" => format!("r#{name}"),
            _ => name,
        }
    }
}

/// `KRaftVersionRecord` -> `kraft_version_record`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.replace("KRaft", "Kraft").chars().collect();
    let mut out = String::new();
    let mut before: Option<char> = None;
    for (index, &c) in chars.iter().enumerate() {
        let after_is_lower = chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
        let starts_word = match before {
            None => false,
            Some(last) => !last.is_ascii_uppercase() || after_is_lower,
        };
        if c.is_ascii_uppercase() && starts_word {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        before = Some(c);
    }
    out
}
