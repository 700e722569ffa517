//! The generated files that list things: modules, metadata records, API keys, error codes.

use std::fmt::Write as _;

use crate::model::{Kind, Message};
use crate::parse::ErrorCode;

/// `messages.rs`.
pub(crate) fn modules(messages: &[Message]) -> String {
    let mut names: Vec<String> = messages.iter().map(Message::module).collect();
    names.push("metadata_records".into());
    names.sort();
    let mut out = String::from(
        "//! Every message that we have a field table for, a module each.\n\
         #![expect(clippy::too_many_lines, reason = \"generated\")]\n\n",
    );
    for name in names {
        let _ = writeln!(out, "pub mod {name};");
    }
    out
}

/// `metadata_records.rs`: one enum over all records of the metadata log.
pub(crate) fn metadata_records(messages: &[Message]) -> String {
    let records: Vec<&Message> =
        messages.iter().filter(|message| message.kind == Kind::Metadata).collect();
    let short = |message: &Message| message.name.trim_end_matches("Record").to_owned();
    let mut uses = String::new();
    let mut variants = String::new();
    let mut arms = [const { String::new() }; 6];
    let [types, versions, encodes, decodes, froms, shows] = &mut arms;
    for record in &records {
        let (name, variant, module) = (&record.name, short(record), record.module());
        let _ = writeln!(uses, "pub use super::{module}::{name};");
        let _ = writeln!(variants, "/// `{name}`.\n{variant}({name}),");
        let _ = writeln!(types, "Self::{variant}(_) => {name}::TYPE,");
        let _ = writeln!(versions, "Self::{variant}(_) => *{name}::VERSIONS.end(),");
        let _ = writeln!(shows, "Self::{variant}(m) => ({name}::NAME, m.show(version)),");
        let _ = writeln!(encodes, "Self::{variant}(m) => m.encode(writer, version),");
        let _ = writeln!(
            decodes,
            "{name}::TYPE => {name}::decode(reader, version).map(Self::{variant}),"
        );
        let _ = writeln!(
            froms,
            "impl From<{name}> for MetadataRecord {{ fn from(record: {name}) -> Self {{ \
             Self::{variant}(record) }} }}\n"
        );
    }
    format!(
        "//! The records of the metadata log, told apart by their type.\n\n{uses}\n\
         use crate::codec::{{DecodeError, EncodeError, Reader, Writer}};\n\
         use crate::message::{{Message, TypedRecord}};\n\
         use crate::show::{{Show, Value}};\n\n\
         /// Any record of the metadata log.\n\
         #[derive(Clone, Debug, PartialEq)]\npub enum MetadataRecord {{ {variants} }}\n\n\
         impl MetadataRecord {{\n\
         /// The record's type on disk.\n#[must_use]\n\
         pub fn record_type(&self) -> i16 {{ match self {{ {types} }} }}\n\n\
         /// The highest version that the record's table holds.\n#[must_use]\n\
         pub fn highest_version(&self) -> i16 {{ match self {{ {versions} }} }}\n\n\
         /// The record's name in the schema, and its fields.\n#[must_use]\n\
         pub fn show(&self, version: i16) -> (&'static str, Value) {{ \
         match self {{ {shows} }} }}\n\n\
         /// Writes the body of the record.\n\
         pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{ \
         match self {{ {encodes} }} }}\n\n\
         /// Reads the body of a record of the given type.\n\
         pub fn decode(record_type: i16, reader: &mut Reader, version: i16) \
         -> Result<Self, DecodeError> {{ match record_type {{ {decodes} \
         other => Err(DecodeError::UnknownRecordType(i64::from(other))), }} }}\n}}\n\n{froms}"
    )
}

/// `api_key.rs`.
pub(crate) fn api_keys(keys: &[(i16, String)], messages: &[Message]) -> String {
    let mut variants = String::new();
    let mut arms = [const { String::new() }; 5];
    let [from, names, versions, unstable, flexible] = &mut arms;
    for (key, name) in keys {
        let _ = writeln!(variants, "/// `{name}`, key {key}.\n{name} = {key},");
        let _ = writeln!(from, "{key} => Self::{name},");
        let _ = writeln!(names, "Self::{name} => {name:?},");
        let request = messages
            .iter()
            .find(|message| message.kind == Kind::Request && message.key == Some(*key));
        let Some(request) = request else { continue };
        let (low, high) = (request.versions.low, request.versions.high);
        let _ = writeln!(versions, "Self::{name} => {low}..={high},");
        if request.unstable {
            let _ = writeln!(unstable, "Self::{name} => {low}..={},", high - 1);
        }
        let from = request.flexible.low;
        if !request.flexible.is_empty() {
            let _ = writeln!(flexible, "Self::{name} => version >= {from},");
        }
    }
    format!(
        "//! The keys of Kafka's APIs.\n\
         #![expect(clippy::too_many_lines, reason = \"generated\")]\n\n\
         use std::fmt;\nuse std::ops::RangeInclusive;\n\n\
         /// An API of the protocol.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\n\
         pub enum ApiKey {{ {variants} }}\n\n\
         impl ApiKey {{\n\
         /// The API that has this key.\n#[must_use]\n\
         pub fn from_i16(key: i16) -> Option<Self> {{ Some(match key {{ {from} _ => return None, \
         }}) }}\n\n\
         /// The key.\n#[must_use]\npub const fn code(self) -> i16 {{ self as i16 }}\n\n\
         /// The API's name.\n#[must_use]\n\
         pub fn name(self) -> &'static str {{ match self {{ {names} }} }}\n\n\
         /// The versions that our field tables hold; empty when there is no table.\n#[must_use]\n\
         #[expect(clippy::reversed_empty_ranges, reason = \"the empty range\")]\n\
         pub fn versions(self) -> RangeInclusive<i16> {{ match self {{ {versions} _ => 0..=-1, }} \
         }}\n\n\
         /// [`Self::versions`] without a latest version that is still unstable.\n#[must_use]\n\
         pub fn stable_versions(self) -> RangeInclusive<i16> {{ match self {{ {unstable} \
         _ => self.versions(), }} }}\n\n\
         /// Whether requests of this version are flexible.\n#[must_use]\n\
         pub fn is_flexible(self, version: i16) -> bool {{ match self {{ {flexible} _ => false, \
         }} }}\n}}\n\n\
         impl fmt::Display for ApiKey {{ fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result \
         {{ f.write_str(self.name()) }} }}\n"
    )
}

/// `error_code.rs`: the errors themselves.
pub(crate) fn error_codes(errors: &[ErrorCode]) -> String {
    let mut variants = String::new();
    for error in errors {
        let (code, name, text) = (error.code, &error.name, &error.text);
        let variant = camel(name);
        let _ = writeln!(variants, "/// `{name}`, {code}:\n/// {text}.\n{variant} = {code},");
    }
    format!(
        "//! Kafka's error codes.\n\nmod tables;\n\nuse std::fmt;\n\n\
         /// What an answer says went wrong.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\n\
         pub enum ErrorCode {{ {variants} }}\n\n\
         impl ErrorCode {{\n\
         /// The code.\n#[must_use]\npub const fn code(self) -> i16 {{ self as i16 }}\n\n\
         /// Whether this is an error at all.\n#[must_use]\n\
         pub fn is_error(self) -> bool {{ self != Self::None }}\n}}\n\n\
         impl From<ErrorCode> for i16 {{\n\
         fn from(error: ErrorCode) -> Self {{ error.code() }}\n}}\n\n\
         impl fmt::Display for ErrorCode {{ fn fmt(&self, f: &mut fmt::Formatter<'_>) -> \
         fmt::Result {{ f.write_str(self.name()) }} }}\n"
    )
}

/// `error_code/tables.rs`: what is known of each error.
pub(crate) fn error_tables(errors: &[ErrorCode]) -> String {
    let mut arms = [const { String::new() }; 4];
    let [from, names, texts, retriable] = &mut arms;
    for error in errors {
        let (code, name, text) = (error.code, &error.name, &error.text);
        let variant = camel(name);
        let _ = writeln!(from, "{code} => Self::{variant},");
        let _ = writeln!(names, "Self::{variant} => {name:?},");
        let _ = writeln!(texts, "Self::{variant} => {text:?},");
        if error.retriable {
            let _ =
                write!(retriable, "{}Self::{variant}", if retriable.is_empty() { "" } else { "|" });
        }
    }
    format!(
        "//! The name, the meaning and the nature of each error.\n\
         #![expect(clippy::too_many_lines, reason = \"generated\")]\n\n\
         use super::ErrorCode;\n\n\
         impl ErrorCode {{\n\
         /// The error that has this code; `None` when no table knows it.\n#[must_use]\n\
         pub fn from_i16(code: i16) -> Option<Self> {{ Some(match code {{ {from} \
         _ => return None, }}) }}\n\n\
         /// Kafka's name for the error.\n#[must_use]\n\
         pub fn name(self) -> &'static str {{ match self {{ {names} }} }}\n\n\
         /// What the error means.\n#[must_use]\n\
         pub fn message(self) -> &'static str {{ match self {{ {texts} }} }}\n\n\
         /// Whether trying again may help.\n#[must_use]\n\
         pub fn is_retriable(self) -> bool {{ matches!(self, {retriable}) }}\n}}\n"
    )
}

/// `NOT_CONTROLLER` -> `NotController`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        let mut chars = word.chars();
        out.extend(chars.next());
        out.push_str(&chars.as_str().to_lowercase());
    }
    out
}
