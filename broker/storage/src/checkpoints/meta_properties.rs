//! `meta.properties` of a log directory: which cluster and node own it, and its own id.
//! A Java properties file; Kafka's version 1, version 0 (`broker.id`) is read too.

use std::fmt::Write;
use std::path::Path;

use wire::ids::{BrokerId, Uuid};

use super::{CheckpointError, Lines, load};
use crate::disk::{Disk, DiskError, write_file_atomically};

/// The file's name in a log directory.
pub const FILE: &str = "meta.properties";
const VERSION: i64 = 1;
const BYTES_MAX: u64 = 64 << 10;

/// The owner of a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster; empty while the node has not learned it from the metadata log yet.
    pub cluster_id: String,
    /// The node in it.
    pub node_id: BrokerId,
    /// The directory itself; a wiped and formatted disk has another one.
    pub directory_id: Option<Uuid>,
}

/// The file's bytes.
pub fn encode(properties: &MetaProperties) -> Vec<u8> {
    let mut text = String::from("#\n");
    let mut put = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={}", escape(value));
    };
    if !properties.cluster_id.is_empty() {
        put("cluster.id", &properties.cluster_id);
    }
    if let Some(id) = properties.directory_id {
        put("directory.id", &id.to_string());
    }
    put("node.id", &properties.node_id.to_string());
    put("version", &VERSION.to_string());
    text.into_bytes()
}

/// Reads the file's bytes; `file` is for the messages. Keys that are not known are left out.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<MetaProperties, CheckpointError> {
    let mut lines = Lines::new(file, bytes)?;
    let (mut version, mut cluster, mut node, mut broker, mut directory) =
        (None, None, None, None, None);
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = split(line) else {
            return Err(lines.bad("expected key=value"));
        };
        match key.as_str() {
            "version" => version = Some(lines.check_version(&value, VERSION)?),
            "cluster.id" => cluster = Some(value),
            "node.id" => node = Some(lines.number(&value)?),
            "broker.id" => broker = Some(lines.number(&value)?),
            "directory.id" => match value.parse::<Uuid>() {
                Ok(id) => directory = Some(id),
                Err(_) => return Err(lines.bad("directory.id is no id")),
            },
            _ => {}
        }
    }
    let node = if version == Some(0) { broker } else { node };
    match (version, cluster, node) {
        (None, _, _) => Err(lines.bad("version is missing")),
        // A node of several that has not met its cluster knows its directory, not its cluster.
        (_, None, _) if directory.is_none() => Err(lines.bad("cluster.id is missing")),
        (_, _, None) => Err(lines.bad("node.id is missing")),
        (_, cluster, Some(node)) => {
            let cluster_id = cluster.unwrap_or_default();
            Ok(MetaProperties { cluster_id, node_id: BrokerId(node), directory_id: directory })
        }
    }
}

/// Reads the file of a log directory; None when the directory is not formatted.
pub fn read(disk: &dyn Disk, file: &Path) -> Result<Option<MetaProperties>, CheckpointError> {
    match load(disk, file, BYTES_MAX)? {
        Some(bytes) => decode(file, &bytes).map(Some),
        None => Ok(None),
    }
}

/// Replaces the file.
pub fn write(disk: &dyn Disk, file: &Path, properties: &MetaProperties) -> Result<(), DiskError> {
    write_file_atomically(disk, file, &encode(properties))
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        match c {
            '=' | ':' | '#' | '!' | '\\' => escaped.extend(['\\', c]),
            ' ' if at == 0 => escaped.push_str("\\ "),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Key and value of one line. A value that goes on in the next line is refused: nobody writes one.
fn split(line: &str) -> Option<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut chars = line.chars().peekable();
    let mut in_value = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let c = match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                };
                if in_value { &mut value } else { &mut key }.push(c);
            }
            '=' | ':' | ' ' | '\t' if !in_value => {
                // One separator with blanks around it.
                let mut separators = usize::from(matches!(c, '=' | ':'));
                while let Some(next) = chars.peek() {
                    match next {
                        ' ' | '\t' => {}
                        '=' | ':' if separators == 0 => separators = 1,
                        _ => break,
                    }
                    chars.next();
                }
                in_value = true;
            }
            c => if in_value { &mut value } else { &mut key }.push(c),
        }
    }
    in_value.then_some((key, value))
}
