//! How a response shows the error codes in it, for metrics.

use std::fmt::Write as _;

use crate::model::{Field, Kind, Message, Struct, Type};

/// The lines of `codes` for one struct; none when it holds no error code.
pub(crate) fn codes(of: &Message, each: &Struct) -> Option<String> {
    if of.kind != Kind::Response {
        return None;
    }
    let mut lines = String::new();
    for field in &each.fields {
        let place = format!("self.{}", field.rust_name());
        let _ = match (&field.kind, field.is_optional()) {
            _ if is_code(field) => writeln!(lines, "each({place});"),
            (Type::Struct(name), _) if !carries(of, name) => Ok(()),
            (Type::Struct(_), false) => writeln!(lines, "{place}.codes(each);"),
            (Type::Struct(_), true) => {
                writeln!(lines, "if let Some(e) = &{place} {{ e.codes(each); }}")
            }
            (Type::Array(element), optional) => match element.as_ref() {
                Type::Struct(name) if carries(of, name) => {
                    let all = if optional {
                        format!("{place}.iter().flatten()")
                    } else {
                        format!("&{place}")
                    };
                    writeln!(lines, "for e in {all} {{ e.codes(each); }}")
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        };
    }
    (!lines.is_empty()).then_some(lines)
}

fn is_code(field: &Field) -> bool {
    field.kind == Type::Int16 && field.name.ends_with("ErrorCode")
}

fn carries(of: &Message, name: &str) -> bool {
    of.find(name).is_some_and(|each| codes(of, each).is_some())
}
