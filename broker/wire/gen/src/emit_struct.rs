//! The bodies of `read`, `write` and `default` of one struct.

use std::fmt::Write as _;

use crate::emit::{condition, has_word};
use crate::model::{Field, Message, Range, Struct, Type};

/// The flag that says whether this version is flexible, as an expression.
fn flex(of: &Message, field: &Field) -> &'static str {
    if field.never_flexible || of.flexible.and(of.versions).is_empty() {
        "false"
    } else if of.flexible.covers(of.versions) {
        "true"
    } else {
        "flex"
    }
}

/// The line that computes `flex`, when `text` uses it.
fn flex_line(of: &Message, text: &str) -> String {
    if !has_word(text, "flex") {
        return String::new();
    }
    let test = condition(of.flexible, of.versions, "v").unwrap_or_else(|| "true".into());
    format!("let flex = {test};\n")
}

/// Wraps what is to happen at flexible versions only.
fn when_flexible(of: &Message, inner: &str) -> String {
    match condition(of.flexible, of.versions, "v") {
        None => inner.to_owned(),
        Some(_) if of.flexible.and(of.versions).is_empty() => String::new(),
        Some(_) => format!("if flex {{ {inner} }}\n"),
    }
}

/// The value that the schema gives a field which is absent.
pub(crate) fn default_value(of: &Message, field: &Field) -> String {
    let text = field.default.as_deref();
    if field.kind == Type::Records || text == Some("null") {
        return "None".into();
    }
    let value = match &field.kind {
        Type::Bool => text.unwrap_or("false").to_owned(),
        Type::Float64 => text.map_or("0.0".into(), |text| format!("{text}_f64")),
        Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64 => {
            number(text.unwrap_or("0"), &field.kind)
        }
        Type::Uuid => "Uuid::ZERO".into(),
        Type::String => match text {
            None => "String::new()".into(),
            Some(text) => format!("{text:?}.to_owned()"),
        },
        Type::Bytes | Type::Records => "Bytes::new()".into(),
        Type::Array(_) => "Vec::new()".into(),
        Type::Struct(_) => format!("{}::default()", turbofish(of, &field.kind)),
    };
    if field.is_optional() { format!("Some({value})") } else { value }
}

fn turbofish(of: &Message, kind: &Type) -> String {
    of.rust_type(kind).replace('<', "::<")
}

/// A number as people write it.
fn number(text: &str, kind: &Type) -> String {
    match (text, kind) {
        ("2147483647", Type::Int32) => "i32::MAX".into(),
        ("-2147483648", Type::Int32) => "i32::MIN".into(),
        ("9223372036854775807", Type::Int64) => "i64::MAX".into(),
        _ => text.to_owned(),
    }
}

/// The test that a field has its default.
pub(crate) fn is_default(of: &Message, field: &Field) -> String {
    let place = format!("self.{}", field.rust_name());
    let value = default_value(of, field);
    match (&field.kind, value.as_str()) {
        (_, "None") => format!("{place}.is_none()"),
        (Type::Bool, "false") => format!("!{place}"),
        (Type::Bool, "true") => place,
        (Type::String, "String::new()") | (Type::Bytes, "Bytes::new()") | (_, "Vec::new()") => {
            format!("{place}.is_empty()")
        }
        (Type::String, "Some(String::new())") => {
            format!("{place}.as_ref().is_some_and(String::is_empty)")
        }
        (Type::Bytes, "Some(Bytes::new())") => {
            format!("{place}.as_ref().is_some_and(Bytes::is_empty)")
        }
        (_, "Some(Vec::new())") => format!("{place}.as_ref().is_some_and(Vec::is_empty)"),
        (Type::Uuid, "Uuid::ZERO") => format!("{place}.is_zero()"),
        _ => format!("{place} == {value}"),
    }
}

/// The body of `read`.
pub(crate) fn read_body(of: &Message, each: &Struct) -> String {
    let mut text = String::new();
    let tagged: Vec<&Field> = each.fields.iter().filter(|field| field.tag.is_some()).collect();
    let built = if each.fields.is_empty() { "Self {}" } else { "Self {" };
    let after_tags = !tagged.is_empty();
    let _ = write!(text, "let {}m = {built}", if after_tags { "mut " } else { "" });
    for field in &each.fields {
        let value = match (field.tag, condition(field.versions, of.versions, "v")) {
            (Some(_), _) => default_value(of, field),
            (None, None) => read_field(of, field),
            (None, Some(test)) => format!(
                "if {test} {{ {} }} else {{ {} }}",
                read_field(of, field),
                default_value(of, field)
            ),
        };
        let _ = writeln!(text, "{}: {value},", field.rust_name());
    }
    text.push_str(if each.fields.is_empty() { ";\n" } else { "};\n" });
    let mut arms = String::new();
    for field in &tagged {
        let guard = condition(field.versions, of.flexible.and(of.versions), "v")
            .map(|test| format!(" if {test}"))
            .unwrap_or_default();
        let _ = writeln!(
            arms,
            "{}{guard} => m.{} = {},",
            field.tag.unwrap_or_default(),
            field.rust_name(),
            read_field(of, field),
        );
    }
    let tags = if tagged.is_empty() {
        "r.skip_tags()?;".to_owned()
    } else {
        format!("r.tags(|r, tag| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;")
    };
    text.push_str(&when_flexible(of, &tags));
    text.push_str("Ok(m)");
    format!("{}{text}", flex_line(of, &text))
}

/// The expression that reads a field at a version which has it.
fn read_field(of: &Message, field: &Field) -> String {
    if !field.is_optional() {
        return read_value(of, field, false);
    }
    let nullable = if field.kind == Type::Records { field.versions } else { field.nullable };
    let effective = field.versions.and(of.versions);
    match condition(nullable, effective, "v") {
        None => read_value(of, field, true),
        Some(test) => format!(
            "if {test} {{ {} }} else {{ Some({}) }}",
            read_value(of, field, true),
            read_value(of, field, false)
        ),
    }
}

fn read_value(of: &Message, field: &Field, nullable: bool) -> String {
    let flex = flex(of, field);
    let prefix = if nullable { "nullable_" } else { "" };
    match &field.kind {
        Type::String => format!("r.{prefix}string({flex})?"),
        Type::Bytes => format!("r.{prefix}bytes({flex})?"),
        Type::Records if of.rust_type(&field.kind) == "Bytes" => {
            format!("r.nullable_bytes({flex})?")
        }
        Type::Records => format!("r.nullable_bytes({flex})?.map(Records::from)"),
        Type::Array(element) => {
            let min = of.min_size(element);
            format!("r.{prefix}array({flex}, {min}, {})?", read_element(of, element, flex))
        }
        Type::Struct(name) if nullable => format!("r.nullable(|r| {name}::read(r, v))?"),
        other => format!("{}?", read_scalar(other)),
    }
}

fn read_scalar(kind: &Type) -> String {
    match kind {
        Type::Bool => "r.bool()".into(),
        Type::Int8 => "r.i8()".into(),
        Type::Int16 => "r.i16()".into(),
        Type::Uint16 => "r.u16()".into(),
        Type::Int32 => "r.i32()".into(),
        Type::Uint32 => "r.u32()".into(),
        Type::Int64 => "r.i64()".into(),
        Type::Float64 => "r.f64()".into(),
        Type::Uuid => "r.uuid()".into(),
        Type::Struct(name) => format!("{name}::read(r, v)"),
        Type::String | Type::Bytes | Type::Records | Type::Array(_) => String::new(),
    }
}

fn read_element(of: &Message, element: &Type, flex: &str) -> String {
    match element {
        Type::String => format!("|r| r.string({flex})"),
        Type::Bytes | Type::Records => format!("|r| r.bytes({flex})"),
        Type::Array(inner) => {
            let min = of.min_size(inner);
            format!("|r| r.array({flex}, {min}, {})", read_element(of, inner, flex))
        }
        Type::Struct(_) => format!("|r| {}", read_scalar(element)),
        other => read_scalar(other).replace("r.", "Reader::").replace("()", ""),
    }
}

/// The body of `write`.
pub(crate) fn write_body(of: &Message, each: &Struct) -> String {
    let mut text = String::new();
    for field in &each.fields {
        let absent = absent(of, field);
        if field.tag.is_some() {
            // Written below, in the order of the tags.
            if let (Some(test), Some(check)) = (condition(field.versions, of.versions, "v"), absent)
            {
                let _ = writeln!(text, "if {} {{ {check} }}", negate(&test));
            }
            continue;
        }
        let value = write_field(of, field);
        let _ = match (condition(field.versions, of.versions, "v"), absent) {
            (None, _) => writeln!(text, "{value};"),
            (Some(test), None) => writeln!(text, "if {test} {{ {value}; }}"),
            (Some(test), Some(check)) => {
                writeln!(text, "if {test} {{ {value}; }} else {{ {check} }}")
            }
        };
    }
    let tags = write_tags(of, each);
    text.push_str(&when_flexible(of, &tags));
    text.push_str("Ok(())");
    format!("{}{text}", flex_line(of, &text))
}

/// The check made at versions that lack the field; `None` when it may be dropped.
fn absent(of: &Message, field: &Field) -> Option<String> {
    (!field.ignorable)
        .then(|| format!("w.absent({:?}, v, {})?;", field.name, is_default(of, field)))
}

fn write_tags(of: &Message, each: &Struct) -> String {
    let mut tagged: Vec<&Field> = each.fields.iter().filter(|field| field.tag.is_some()).collect();
    tagged.sort_by_key(|field| field.tag);
    if tagged.is_empty() {
        return "w.unsigned_varint(0);".into();
    }
    let mut text = String::new();
    let mut count = Vec::new();
    for field in &tagged {
        let name = field.rust_name().replace("r#", "");
        let within = of.flexible.and(of.versions);
        let set = match condition(field.versions, within, "v") {
            None => negate(&is_default(of, field)),
            Some(test) => format!("{test} && {}", negate(&is_default(of, field))),
        };
        let _ = writeln!(text, "let has_{name} = {set};");
        count.push(format!("u32::from(has_{name})"));
    }
    let _ = writeln!(text, "w.unsigned_varint({});", count.join(" + "));
    for field in &tagged {
        let name = field.rust_name().replace("r#", "");
        let tag = field.tag.unwrap_or_default();
        let value = write_field(of, field);
        let body = match value.strip_suffix('?') {
            Some(fallible) if !value.starts_with("if ") => fallible.to_owned(),
            _ => format!("{{ {value}; Ok(()) }}"),
        };
        let _ = writeln!(text, "if has_{name} {{ w.tag({tag}, |w| {body})?; }}");
    }
    text
}

/// The opposite of a test made by this generator.
fn negate(test: &str) -> String {
    for (yes, no) in [(" == ", " != "), (" >= ", " < "), (" <= ", " > ")] {
        if test.contains(yes) {
            return test.replacen(yes, no, 1);
        }
    }
    if let Some(place) = test.strip_suffix(".is_none()") {
        return format!("{place}.is_some()");
    }
    test.strip_prefix('!').map_or_else(|| format!("!{test}"), str::to_owned)
}

/// Whether the derived default of the field is the schema's.
pub(crate) fn derives_default(of: &Message, field: &Field) -> bool {
    let plain = ["0", "0.0", "false", "None", "String::new()", "Bytes::new()", "Vec::new()"];
    let value = default_value(of, field);
    plain.contains(&value.as_str())
        || value == "Uuid::ZERO"
        || (value.ends_with("::default()") && !value.contains('<'))
}

/// The expression that writes a field at a version which has it.
fn write_field(of: &Message, field: &Field) -> String {
    let place = format!("self.{}", field.rust_name());
    let flex = flex(of, field);
    if !field.is_optional() {
        return write_plain(of, &field.kind, &place, flex);
    }
    let nullable = write_nullable(of, field, &place, flex);
    let effective: Range = field.versions.and(of.versions);
    match condition(field.nullable, effective, "v") {
        None => nullable,
        Some(test) => {
            let name = &field.name;
            let reference = match field.kind {
                Type::String | Type::Array(_) => format!("{place}.as_deref()"),
                _ => format!("{place}.as_ref()"),
            };
            let value = format!("required({name:?}, v, {reference})?");
            let plain = write_plain(of, &field.kind, &value, flex).replace("&required", "required");
            match test.as_str() {
                "false" => plain,
                _ => format!("if {test} {{ {nullable}; }} else {{ {plain}; }}"),
            }
        }
    }
}

fn write_nullable(of: &Message, field: &Field, place: &str, flex: &str) -> String {
    match &field.kind {
        Type::String => format!("w.nullable_string({flex}, {place}.as_deref())?"),
        Type::Bytes => format!("w.nullable_bytes({flex}, {place}.as_deref())?"),
        Type::Records if of.rust_type(&field.kind) == "Bytes" => {
            format!("w.record_bytes({flex}, {place}.as_ref())?")
        }
        Type::Records => format!("w.records({flex}, {place}.as_ref())?"),
        Type::Array(element) => format!(
            "w.nullable_array({flex}, {place}.as_deref(), {})?",
            write_element(of, element, flex)
        ),
        _ => format!("w.nullable({place}.as_ref(), |w, e| e.write(w, v))?"),
    }
}

fn write_plain(of: &Message, kind: &Type, place: &str, flex: &str) -> String {
    match kind {
        Type::Bool => format!("w.bool({place})"),
        Type::Int8 => format!("w.i8({place})"),
        Type::Int16 => format!("w.i16({place})"),
        Type::Uint16 => format!("w.u16({place})"),
        Type::Int32 => format!("w.i32({place})"),
        Type::Uint32 => format!("w.u32({place})"),
        Type::Int64 => format!("w.i64({place})"),
        Type::Float64 => format!("w.f64({place})"),
        Type::Uuid => format!("w.uuid({place})"),
        Type::String => format!("w.string({flex}, &{place})?"),
        Type::Bytes => format!("w.bytes({flex}, &{place})?"),
        Type::Records if of.rust_type(kind) == "Bytes" => {
            format!("w.record_bytes({flex}, Some({place}))?")
        }
        Type::Records => format!("w.records({flex}, Some({place}))?"),
        Type::Struct(_) => format!("{place}.write(w, v)?"),
        Type::Array(element) => {
            format!("w.array({flex}, &{place}, {})?", write_element(of, element, flex))
        }
    }
}

fn write_element(of: &Message, element: &Type, flex: &str) -> String {
    match element {
        Type::String => format!("|w, e| w.string({flex}, e)"),
        Type::Bytes | Type::Records => format!("|w, e| w.bytes({flex}, e)"),
        Type::Array(inner) => {
            format!("|w, e| w.array({flex}, e, {})", write_element(of, inner, flex))
        }
        Type::Struct(_) => "|w, e| e.write(w, v)".into(),
        scalar => format!("|w, e| {{ {}; Ok(()) }}", write_plain(of, scalar, "*e", flex)),
    }
}
