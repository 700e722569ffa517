//! One message as a Rust module: its structs, their defaults, and calls to `Reader` and `Writer`.

use std::fmt::Write as _;

use crate::emit_errors::codes;
use crate::emit_show::{is_shown, show_impl};
use crate::emit_struct::{default_value, derives_default, read_body, write_body};
use crate::model::{Kind, Message, Range, Struct};

/// The module of one message, not yet formatted.
pub(crate) fn message(of: &Message) -> String {
    let mut body = String::new();
    for each in &of.structs {
        body.push_str(&struct_text(of, each));
        if is_shown(of) {
            body.push_str(&show_impl(of, each));
        }
    }
    body.push_str(&message_impl(of));
    let key = of.key.map(|key| format!(", key {key}")).unwrap_or_default();
    let mut out = format!(
        "//! `{}`{key}: versions {}, flexible versions {}.\n\nuse std::ops::RangeInclusive;\n\n",
        of.name,
        of.versions.text(),
        if of.flexible.is_empty() { "none".to_owned() } else { of.flexible.text() },
    );
    for (word, import) in [
        ("Bytes", "use bytes::Bytes;\n"),
        ("required", "use crate::codec::required;\n"),
        ("Uuid", "use crate::ids::Uuid;\n"),
        ("ApiKey", "use crate::api_key::ApiKey;\n"),
        ("NoRange", "use crate::records_slot::NoRange;\n"),
        ("Records", "use crate::records_slot::Records;\n"),
        ("TypedRecord", "use crate::message::TypedRecord;\n"),
        ("Request", "use crate::message::Request;\n"),
        ("Show", "use crate::show::{Fields, Show, Value};\n"),
    ] {
        if has_word(&body, word) {
            out.push_str(import);
        }
    }
    out.push_str("use crate::codec::{DecodeError, EncodeError, Reader, Writer};\n");
    out.push_str("use crate::message::{check_decode, check_encode, Message};\n\n");
    out.push_str(&body);
    out
}

/// Whether `word` stands alone in code (comments aside).
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.lines().filter(|line| !line.trim_start().starts_with("///")).any(|line| {
        line.match_indices(word).any(|(at, found)| {
            let before = line.get(..at).and_then(|head| head.chars().next_back());
            let after = line.get(at + found.len()..).and_then(|tail| tail.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    })
}

fn struct_text(of: &Message, each: &Struct) -> String {
    let generic = of.is_generic(each);
    let name = &each.name;
    let (declared, used) = if generic { ("<R = NoRange>", "<R>") } else { ("", "") };
    let head = if generic { "impl<R>" } else { "impl" };
    let eq = if of.has_float(each) { "" } else { ", Eq" };
    let derived = !generic && each.fields.iter().all(|field| derives_default(of, field));
    let default = if derived { ", Default" } else { "" };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "/// `{name}`{}, versions {}.\n#[derive(Clone, Debug{default}, PartialEq{eq})]\n\
         pub struct {name}{declared} {{",
        if *name == of.name { String::new() } else { format!(" of `{}`", of.name) },
        each.versions.and(of.versions).text(),
    );
    for field in &each.fields {
        let nullable = if field.nullable.is_empty() {
            String::new()
        } else {
            format!(", null in {}", field.nullable.text())
        };
        let tag = field.tag.map(|tag| format!(", tag {tag}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "/// `{}`: {}, versions {}{nullable}{tag}.\npub {}: {},",
            field.name,
            field.type_text.replace("[]", "array of "),
            field.versions.text(),
            field.rust_name(),
            optional(field.is_optional(), of.rust_type(&field.kind)),
        );
    }
    out.push_str("}\n\n");
    if !derived {
        let _ = writeln!(out, "{head} Default for {name}{used} {{ fn default() -> Self {{ Self {{");
        for field in &each.fields {
            let _ = writeln!(out, "{}: {},", field.rust_name(), default_value(of, field));
        }
        out.push_str("}}}\n\n");
    }

    let read = read_body(of, each);
    let write = write_body(of, each);
    let v = |text: &str| if has_word(text, "v") { "v" } else { "_v" };
    let (r, w) = (
        if has_word(&read, "r") { "r" } else { "_r" },
        if has_word(&write, "w") { "w" } else { "_w" },
    );
    let _ = writeln!(
        out,
        "{head} {name}{used} {{ fn read({r}: &mut Reader, {}: i16) \
         -> Result<Self, DecodeError> {{\n{read}\n}}\n",
        v(&read),
    );
    let inside_generic = of.structs.first().is_some_and(|root| of.is_generic(root));
    let (parameters, writer, bound) = match (generic, inside_generic) {
        (true, _) => ("", "Writer<R>", "where R: Clone"),
        (false, true) => ("<R>", "Writer<R>", ""),
        (false, false) => ("", "Writer", ""),
    };
    let _ = writeln!(
        out,
        "fn write{parameters}(&self, {w}: &mut {writer}, {}: i16) \
         -> Result<(), EncodeError> {bound} {{\n{write}\n}}\n",
        v(&write),
    );
    if let Some(lines) = codes(of, each) {
        let _ = writeln!(out, "fn codes(&self, each: &mut dyn FnMut(i16)) {{\n{lines}}}\n");
    }
    out.push_str("}\n\n");
    out
}

fn optional(is: bool, kind: String) -> String {
    if is { format!("Option<{kind}>") } else { kind }
}

fn message_impl(of: &Message) -> String {
    let Some(first) = of.structs.first() else { return String::new() };
    let name = &of.name;
    let generic = of.is_generic(first);
    let (head, used, range) =
        if generic { ("impl<R: Clone>", "<R>", "R") } else { ("impl", "", "NoRange") };
    let flexible = condition(of.flexible, of.versions, "version").unwrap_or("true".into());
    let flexible = if of.flexible.is_empty() { "false".into() } else { flexible };
    let version = if has_word(&flexible, "version") { "version" } else { "_version" };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{head} Message for {name}{used} {{\n\
         const NAME: &'static str = \"{name}\";\n\
         const VERSIONS: RangeInclusive<i16> = {}..={};\n\
         type Range = {range};\n\n\
         fn is_flexible({version}: i16) -> bool {{ {flexible} }}\n\n\
         fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{\n\
         check_decode::<Self>(version)?; Self::read(reader, version) }}\n\n\
         fn encode(&self, writer: &mut Writer<{range}>, version: i16) \
         -> Result<(), EncodeError> {{\n\
         check_encode::<Self>(version)?; self.write(writer, version) }}\n",
        of.versions.low, of.versions.high,
    );
    if codes(of, first).is_some() {
        out.push_str("fn error_codes(&self, each: &mut dyn FnMut(i16)) { self.codes(each) }\n");
    }
    out.push_str("}\n\n");
    let key = of.key.unwrap_or(-1);
    match of.kind {
        Kind::Request => {
            let api = name.trim_end_matches("Request");
            let module = crate::model::snake(&format!("{api}Response"));
            let _ = writeln!(
                out,
                "impl Request for {name} {{ const KEY: ApiKey = ApiKey::{api};\n\
                 type Response = crate::messages::{module}::{api}Response; }}"
            );
        }
        Kind::CoordinatorKey | Kind::CoordinatorValue | Kind::Metadata => {
            let _ = writeln!(out, "impl TypedRecord for {name} {{ const TYPE: i16 = {key}; }}");
        }
        Kind::Response | Kind::Data => {}
    }
    out
}

/// The test that `variable` lies in `range`, given that it lies in `within`; `None` when it always
/// does.
pub(crate) fn condition(range: Range, within: Range, variable: &str) -> Option<String> {
    if range.covers(within) {
        return None;
    }
    let both = range.and(within);
    Some(if both.is_empty() {
        "false".into()
    } else if both.low == both.high {
        format!("{variable} == {}", both.low)
    } else if both.low <= within.low {
        format!("{variable} <= {}", both.high)
    } else if both.high >= within.high {
        format!("{variable} >= {}", both.low)
    } else {
        format!("({}..={}).contains(&{variable})", both.low, both.high)
    })
}
