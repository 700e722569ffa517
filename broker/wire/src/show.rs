//! A record's fields under their names in the schema, for whoever prints them.

use bytes::Bytes;

use crate::ids::Uuid;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text, ids included.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// Several values.
    List(Vec<Self>),
    /// Fields.
    Object(Fields),
}

/// The fields of a struct in the schema's order, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub Vec<(&'static str, Value)>);

impl Fields {
    /// With one more field, if it is to be shown.
    #[must_use]
    pub(crate) fn with(
        mut self,
        shown: bool,
        name: &'static str,
        value: &dyn Show,
        v: i16,
    ) -> Self {
        if shown {
            self.0.push((name, value.show(v)));
        }
        self
    }
}

/// What can be shown.
pub trait Show {
    /// As it is at a version.
    fn show(&self, version: i16) -> Value;
}

impl Show for bool {
    fn show(&self, _version: i16) -> Value {
        Value::Bool(*self)
    }
}

impl Show for f64 {
    fn show(&self, _version: i16) -> Value {
        Value::Float(*self)
    }
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Show for $number {
            fn show(&self, _version: i16) -> Value {
                Value::Number(i64::from(*self))
            }
        }
    )*};
}

number!(i8, i16, u16, i32, u32, i64);

impl Show for String {
    fn show(&self, _version: i16) -> Value {
        Value::Text(self.clone())
    }
}

impl Show for Uuid {
    fn show(&self, _version: i16) -> Value {
        Value::Text(self.to_string())
    }
}

impl Show for Bytes {
    fn show(&self, _version: i16) -> Value {
        Value::Bytes(self.clone())
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, version: i16) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.show(version))
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self, version: i16) -> Value {
        Value::List(self.iter().map(|value| value.show(version)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::metadata_records::{PartitionRecord, TopicRecord};

    #[test]
    fn fields_have_the_names_of_the_schema() {
        let topic = TopicRecord { name: "t".to_owned(), topic_id: Uuid::METADATA_TOPIC };
        let fields = Fields(vec![
            ("name", Value::Text("t".to_owned())),
            ("topicId", Value::Text("AAAAAAAAAAAAAAAAAAAAAQ".to_owned())),
        ]);
        assert_eq!(topic.show(0), Value::Object(fields));
    }

    #[test]
    fn fields_of_other_versions_and_tagged_defaults_are_left_out() {
        let names = |record: &PartitionRecord, version| match record.show(version) {
            Value::Object(fields) => fields.0.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        };
        let mut record = PartitionRecord::default();
        assert!(!names(&record, 0).contains(&"directories"));
        assert!(names(&record, 1).contains(&"directories"));
        assert!(!names(&record, 1).contains(&"leaderRecoveryState"));
        record.leader_recovery_state = 1;
        assert!(names(&record, 1).contains(&"leaderRecoveryState"));
    }
}
