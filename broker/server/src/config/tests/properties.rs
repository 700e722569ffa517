//! The properties parser against what `java.util.Properties` (Java 17) made of the same text.

use crate::config::properties::{BadEscape, parse};

/// The text that Java read.
const TEXT: &str = r"# comment
   ! other comment = x
a=1
  b : 2  
c 3
d	=	4
e==5
f
g = 
h=one,\
   two,\

i=back\\slash
j=even\\\\
k=odd\\\
   joined
# not continued \
l=after comment
m\ n\=o\:p = q
u=\u0041\u00e9\uD83D\uDE00
t=tab\there\nand\qq
path=C:\\dir
dup=1
dup=2
= no key
w = a b  c 
x\
   y=z
last=\
";

/// What Java put, in its order, with the line where each entry begins.
const EXPECTED: &[(usize, &str, &str)] = &[
    (3, "a", "1"),
    (4, "b", "2  "),
    (5, "c", "3"),
    (6, "d", "4"),
    (7, "e", "=5"),
    (8, "f", ""),
    (9, "g", ""),
    (10, "h", "one,two,"),
    (13, "i", "back\\slash"),
    (14, "j", "even\\\\"),
    (15, "k", "odd\\joined"),
    (18, "l", "after comment"),
    (19, "m n=o:p", "q"),
    (20, "u", "Aé😀"),
    (21, "t", "tab\there\nandqq"),
    (22, "path", "C:\\dir"),
    (23, "dup", "1"),
    (24, "dup", "2"),
    (25, "", "no key"),
    (26, "w", "a b  c "),
    (27, "xy", "z"),
    (29, "last", ""),
];

fn entries(text: &str) -> Vec<(usize, String, String)> {
    parse(text).unwrap().into_iter().map(|entry| (entry.line, entry.key, entry.value)).collect()
}

#[test]
fn entries_are_those_of_java() {
    let expected: Vec<_> = EXPECTED
        .iter()
        .map(|(line, key, value)| (*line, (*key).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(entries(TEXT), expected);
}

#[test]
fn every_line_end_and_form_feed_as_java() {
    let read = entries("cr=1\rcrlf=2\r\nlf=3\nff\u{c}=\u{c}4");
    let short: Vec<_> =
        read.iter().map(|(line, key, value)| (*line, key.as_str(), value.as_str())).collect();
    assert_eq!(short, [(1, "cr", "1"), (2, "crlf", "2"), (3, "lf", "3"), (4, "ff", "4")]);
}

#[test]
fn a_bad_escape_names_its_line() {
    for text in ["a=1\n\nb=\\u00g1", "a=1\n\nb=\\u00", "a=1\n\nb\\u=1"] {
        assert_eq!(parse(text), Err(BadEscape { line: 3 }), "{text}");
    }
}
