//! The format of Java's `.properties` files, with the line on which each entry begins.
//!
//! A line ends at LF, CR or CRLF; one that ends in an odd number of backslashes goes on in the
//! next, whose leading blanks do not count. Lines that begin with `#` or `!` are comments. A key
//! ends at the first `=`, `:` or blank that no backslash precedes.

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped.
    pub value: String,
    /// The line on which the entry begins, counted from one.
    pub line: usize,
}

/// A `\u` that no four hexadecimal digits follow, in the entry that begins on this line.
#[derive(Debug, PartialEq, Eq)]
pub struct BadEscape {
    /// The line, counted from one.
    pub line: usize,
}

/// The entries of `text`, in its order, repeated keys included.
///
/// # Errors
/// A `\u` is not followed by four hexadecimal digits.
pub fn parse(text: &str) -> Result<Vec<Entry>, BadEscape> {
    let mut entries = Vec::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split(&logical);
        let bad = |()| BadEscape { line };
        let key = unescape(key).map_err(bad)?;
        let value = unescape(value).map_err(bad)?;
        entries.push(Entry { key, value, line });
    }
    Ok(entries)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// The lines that carry an entry, continuations joined, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').zip(1usize..);
    let mut logical = Vec::new();
    while let Some((first, number)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = first.to_owned();
        while continues(&joined) {
            joined.pop();
            let Some((next, _)) = lines.next() else {
                break;
            };
            joined.push_str(next.trim_start_matches(is_blank));
        }
        logical.push((number, joined));
    }
    logical
}

fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|character| *character == '\\').count() % 2 == 1
}

/// Splits a line where its key ends; the separator and the blanks around it go.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, character)| {
            let ends = !escaped && (is_blank(*character) || matches!(character, '=' | ':'));
            escaped = !escaped && *character == '\\';
            ends
        })
        .map_or(line.len(), |(index, _)| index);
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, ()> {
    // Escapes name UTF-16 units, so a character may take two of them.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    let mut buffer = [0u16; 2];
    while let Some(character) = characters.next() {
        let plain = match character {
            '\\' => match characters.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    units.push(hexadecimal(&mut characters)?);
                    continue;
                }
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn hexadecimal(characters: &mut std::str::Chars<'_>) -> Result<u16, ()> {
    let mut unit = 0u16;
    for _ in 0..4 {
        let digit = characters.next().and_then(|digit| digit.to_digit(16)).ok_or(())?;
        unit = unit << 4 | u16::try_from(digit).map_err(|_| ())?;
    }
    Ok(unit)
}
