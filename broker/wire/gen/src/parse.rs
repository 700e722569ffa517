//! Reads the tables. A line's depth is its indentation by two spaces; a field's own fields follow
//! it, one deeper.

use crate::model::{Field, Kind, Message, Range, Struct, Type};
use crate::{Error, Result};

/// A Kafka error: its number, name, whether a retry may help, and what it means in our words.
pub(crate) struct ErrorCode {
    pub(crate) code: i16,
    pub(crate) name: String,
    pub(crate) retriable: bool,
    pub(crate) text: String,
}

struct Line<'a> {
    table: &'a str,
    number: usize,
    depth: usize,
    words: Vec<&'a str>,
}

impl Line<'_> {
    fn error(&self, why: &'static str) -> Error {
        Error::Table { table: self.table.to_owned(), line: self.number, why }
    }

    fn word(&self, index: usize, why: &'static str) -> Result<&str> {
        self.words.get(index).copied().ok_or_else(|| self.error(why))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn flag(&self, name: &str) -> bool {
        self.words.contains(&name)
    }

    fn number<T: std::str::FromStr>(&self, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.error("not a number"))
    }

    fn range(&self, text: &str) -> Result<Range> {
        if text == "none" {
            return Ok(Range::NONE);
        }
        if let Some(low) = text.strip_suffix('+') {
            return Ok(Range { low: self.number(low)?, high: i16::MAX });
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Ok(Range { low: self.number(low)?, high: self.number(high)? })
    }
}

fn lines<'a>(table: &'a str, text: &'a str) -> Vec<Line<'a>> {
    let mut out = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.is_empty() {
            out.push(Line { table, number: index + 1, depth: indent / 2, words });
        }
    }
    out
}

/// The messages of one table.
pub(crate) fn table(table: &str, text: &str) -> Result<Vec<Message>> {
    let lines = lines(table, text);
    let mut messages: Vec<Message> = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((head, tail)) = rest.split_first() {
        let length = tail.iter().take_while(|line| line.depth > 0).count();
        let (body, after) = tail.split_at(length);
        rest = after;
        if head.word(0, "empty")? == "struct" {
            let name = head.word(1, "struct without a name")?.to_owned();
            let versions = head.range(head.word(2, "struct without versions")?)?;
            let message =
                messages.last_mut().ok_or_else(|| head.error("struct before a message"))?;
            let mut own = vec![Struct { name, versions, fields: Vec::new() }];
            fields(body, 1, 0, &mut own)?;
            message.structs.append(&mut own);
        } else {
            messages.push(message(head, body)?);
        }
    }
    for message in &mut messages {
        drop_dead_fields(message);
    }
    Ok(messages)
}

fn message(head: &Line<'_>, body: &[Line<'_>]) -> Result<Message> {
    let kind = match head.word(0, "empty")? {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "data" => Kind::Data,
        "coordinator-key" => Kind::CoordinatorKey,
        "coordinator-value" => Kind::CoordinatorValue,
        "metadata" => Kind::Metadata,
        _ => return Err(head.error("unknown kind of message")),
    };
    let name = head.word(1, "message without a name")?.to_owned();
    let versions = head.option("versions").ok_or_else(|| head.error("no versions"))?;
    let versions = head.range(versions)?;
    let flexible = head.range(head.option("flexible").unwrap_or("none"))?;
    let key = head.option("key").map(|key| head.number(key)).transpose()?;
    let mut structs = vec![Struct { name: name.clone(), versions, fields: Vec::new() }];
    fields(body, 1, 0, &mut structs)?;
    Ok(Message { kind, name, key, versions, flexible, unstable: head.flag("unstable"), structs })
}

/// Reads the fields at `depth` into `structs[into]`, their own structs after it.
fn fields(body: &[Line<'_>], depth: usize, into: usize, structs: &mut Vec<Struct>) -> Result<()> {
    let mut rest = body;
    while let Some((line, tail)) = rest.split_first() {
        let length = tail.iter().take_while(|inner| inner.depth > depth).count();
        let (inner, after) = tail.split_at(length);
        rest = after;
        let field = field(line)?;
        if !inner.is_empty() {
            let name = line.word(1, "no type")?.trim_start_matches("[]").to_owned();
            let at = structs.len();
            structs.push(Struct { name, versions: field.versions, fields: Vec::new() });
            fields(inner, depth + 1, at, structs)?;
        }
        if let Some(owner) = structs.get_mut(into) {
            owner.fields.push(field);
        }
    }
    Ok(())
}

fn field(line: &Line<'_>) -> Result<Field> {
    let type_text = line.word(1, "field without a type")?.to_owned();
    let versions = line.range(line.word(2, "field without versions")?)?;
    let tag = match line.option("tag") {
        None => None,
        Some(text) => {
            let (tag, tagged) =
                text.split_once(':').ok_or_else(|| line.error("tag without versions"))?;
            if line.range(tagged)? != versions {
                return Err(line.error("tagged versions differ from versions"));
            }
            Some(line.number(tag)?)
        }
    };
    Ok(Field {
        name: line.word(0, "empty")?.to_owned(),
        kind: value_type(&type_text),
        type_text,
        versions,
        nullable: line.range(line.option("nullable").unwrap_or("none"))?,
        tag,
        default: line.option("default").map(str::to_owned),
        ignorable: line.flag("ignorable"),
        never_flexible: line.flag("noflex"),
    })
}

fn value_type(text: &str) -> Type {
    match text {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "uint32" => Type::Uint32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        _ => match text.strip_prefix("[]") {
            Some(element) => Type::Array(Box::new(value_type(element))),
            None => Type::Struct(text.to_owned()),
        },
    }
}

/// Drops the fields that no valid version has.
fn drop_dead_fields(message: &mut Message) {
    let valid = message.versions;
    for each in &mut message.structs {
        for field in &mut each.fields {
            field.nullable = field.nullable.and(field.versions);
            if field.nullable.and(valid).is_empty() {
                field.nullable = Range::NONE;
            }
        }
        each.fields.retain(|field| !field.versions.and(valid).is_empty());
    }
}

/// Every API key and its name.
pub(crate) fn api_keys(text: &str) -> Result<Vec<(i16, String)>> {
    lines("api_keys.txt", text)
        .iter()
        .map(|line| Ok((line.number(line.word(0, "")?)?, line.word(1, "no name")?.to_owned())))
        .collect()
}

/// Every error code: number, name, `retriable` or `final`, and a sentence.
pub(crate) fn error_codes(text: &str) -> Result<Vec<ErrorCode>> {
    let mut out = Vec::new();
    for line in lines("error_codes.txt", text) {
        out.push(ErrorCode {
            code: line.number(line.word(0, "empty")?)?,
            name: line.word(1, "no name")?.to_owned(),
            retriable: line.word(2, "neither retriable nor final")? == "retriable",
            text: line.words.get(3..).unwrap_or_default().join(" "),
        });
    }
    Ok(out)
}
