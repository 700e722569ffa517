//! How a record shows its fields: only for what is kept in logs, which tools print.

use std::fmt::Write as _;

use crate::emit::condition;
use crate::emit_struct::is_default;
use crate::model::{Kind, Message, Struct};

/// Whether a message can be shown.
pub(crate) fn is_shown(of: &Message) -> bool {
    !matches!(of.kind, Kind::Request | Kind::Response)
}

/// The `Show` of one struct. Tagged fields with their default are not shown, as they are not
/// written.
pub(crate) fn show_impl(of: &Message, each: &Struct) -> String {
    let mut fields = String::from("Fields::default()");
    for field in &each.fields {
        let mut tests: Vec<String> =
            condition(field.versions, of.versions, "v").into_iter().collect();
        if field.tag.is_some() {
            let default = is_default(of, field);
            tests.push(match default.strip_prefix('!') {
                Some(plain) => plain.to_owned(),
                None if default.ends_with(".is_none()") => {
                    default.replace(".is_none()", ".is_some()")
                }
                None if default.contains(" == ") => default.replace(" == ", " != "),
                None => format!("!{default}"),
            });
        }
        let shown = if tests.is_empty() { "true".to_owned() } else { tests.join(" && ") };
        let (name, rust) = (lower_first(&field.name), field.rust_name());
        let _ = write!(fields, ".with({shown}, {name:?}, &self.{rust}, v)");
    }
    let v = if each.fields.is_empty() { "_v" } else { "v" };
    format!(
        "impl Show for {} {{ fn show(&self, {v}: i16) -> Value {{ \
         Value::Object({fields}) }} }}\n\n",
        each.name
    )
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
