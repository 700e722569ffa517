//! Random valid values of every message at every version, as test code: the round trips and the
//! comparisons with other implementations are made of these.

use std::fmt::Write as _;

use crate::emit::{condition, has_word};
use crate::emit_struct::default_value;
use crate::model::{Field, Kind, Message, Struct, Type, snake};

/// `tests/messages/support/samples.rs`.
pub(crate) fn samples(messages: &[Message]) -> String {
    let mut modules = String::new();
    let mut cases = String::new();
    for message in messages {
        modules.push_str(&module(message));
        let kind = match message.kind {
            Kind::Request | Kind::Response | Kind::Data => "common.message",
            Kind::Metadata => "common.metadata",
            Kind::CoordinatorKey | Kind::CoordinatorValue => "coordinator.group.generated",
        };
        let _ = writeln!(
            cases,
            "Case::of::<wire::messages::{0}::{1}>({kind:?}, {0}::{0}),",
            message.module(),
            message.name,
        );
    }
    format!(
        "//! Random valid values of every message at every version.\n\
         #![expect(clippy::too_many_lines, reason = \"generated\")]\n\n\
         use super::{{Case, Random}};\n\n\
         /// Every message.\npub(crate) fn cases() -> Vec<Case> {{ vec![ {cases} ] }}\n\n{modules}"
    )
}

fn module(of: &Message) -> String {
    let mut body = String::new();
    for each in &of.structs {
        body.push_str(&function(of, each));
    }
    let mut uses = String::from("use super::Random;\n");
    for (word, import) in [
        ("Bytes", "use bytes::Bytes;\n"),
        ("Records", "use wire::records_slot::Records;\n"),
        ("Uuid", "use wire::ids::Uuid;\n"),
    ] {
        if has_word(&body, word) {
            uses.push_str(import);
        }
    }
    format!("mod {0} {{ use wire::messages::{0}::*;\n{uses}\n{body} }}\n\n", of.module())
}

fn function(of: &Message, each: &Struct) -> String {
    let mut fields = String::new();
    for field in &each.fields {
        let value = match condition(field.versions, of.versions, "v") {
            None => random_field(of, field),
            Some(test) => format!(
                "if {test} {{ {} }} else {{ {} }}",
                random_field(of, field),
                default_value(of, field)
            ),
        };
        let _ = writeln!(fields, "{}: {value},", field.rust_name());
    }
    let v = if has_word(&fields, "v") { "v" } else { "_v" };
    let r = if has_word(&fields, "r") { "r" } else { "_r" };
    let visibility = if each.name == of.name { "pub(crate) " } else { "" };
    format!(
        "{visibility}fn {}({r}: &mut Random, {v}: i16) -> {} {{ {} {{ {fields} }} }}\n\n",
        snake(&each.name),
        each.name,
        each.name,
    )
}

fn random_field(of: &Message, field: &Field) -> String {
    let value = random_value(of, &field.kind);
    let value = if !field.is_optional() {
        value
    } else {
        match condition(field.nullable, field.versions.and(of.versions), "v") {
            None => format!("r.option(|r| {value})"),
            Some(test) if test == "false" => format!("Some({value})"),
            Some(test) => format!("if {test} {{ r.option(|r| {value}) }} else {{ Some({value}) }}"),
        }
    };
    if field.tag.is_none() {
        return value;
    }
    format!("if r.one_in(3) {{ {} }} else {{ {value} }}", default_value(of, field))
}

fn random_value(of: &Message, kind: &Type) -> String {
    match kind {
        Type::Bool => "r.one_in(2)".into(),
        Type::Int8 => "r.i8()".into(),
        Type::Int16 => "r.i16()".into(),
        Type::Uint16 => "r.u16()".into(),
        Type::Int32 => "r.i32()".into(),
        Type::Uint32 => "r.u32()".into(),
        Type::Int64 => "r.i64()".into(),
        Type::Float64 => "r.f64()".into(),
        Type::Uuid => "r.uuid()".into(),
        Type::String => "r.string()".into(),
        Type::Bytes => "r.bytes()".into(),
        Type::Records if of.rust_type(kind) == "Bytes" => "r.bytes()".into(),
        Type::Records => "Records::from(r.bytes())".into(),
        Type::Struct(name) => format!("{}(r, v)", snake(name)),
        Type::Array(element) => format!("r.vec(|r| {})", random_value(of, element)),
    }
}
