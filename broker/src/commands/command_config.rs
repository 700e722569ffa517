//! `--command-config FILE`: what a client is told by a file of Kafka's client properties.

use std::path::Path;
use std::time::Duration;

use server::config::properties::{self, Entry};

use super::failure::Failure;

/// What a file says; the rest stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CommandConfig {
    pub(super) bootstrap: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    /// Keys that change nothing here.
    pub(super) unused: Vec<String>,
}

/// A line that cannot be followed.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    line: usize,
    what: String,
}

impl CommandConfig {
    /// Reads a file; what has no effect is said once.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::Path { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let config = Self::parse(&text).map_err(|Refused { line, what }| {
            Failure::Usage(format!("--command-config {}:{line}: {what}", path.display()))
        })?;
        if !config.unused.is_empty() {
            let (path, unused) = (path.display(), config.unused.join(", "));
            eprintln!("note: {path}: without effect here: {unused}");
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, Refused> {
        let escape = "\\u must be followed by four hexadecimal digits";
        let entries = properties::parse(text)
            .map_err(|bad| Refused { line: bad.line, what: escape.to_owned() })?;
        let mut config = Self::default();
        for entry in entries {
            let line = entry.line;
            config.take(entry).map_err(|what| Refused { line, what })?;
        }
        Ok(config)
    }

    fn take(&mut self, Entry { key, value, .. }: Entry) -> Result<(), String> {
        match key.as_str() {
            "bootstrap.servers" => self.bootstrap = Some(value),
            "client.id" => self.client_id = Some(value),
            "request.timeout.ms" => self.request_timeout = Some(milliseconds(&key, &value)?),
            "default.api.timeout.ms" => self.timeout = Some(milliseconds(&key, &value)?),
            // Whoever asks for security must not go on without it.
            "security.protocol" if !value.trim().eq_ignore_ascii_case("PLAINTEXT") => {
                return Err(format!(
                    "{key}={value}: TLS and SASL are not built yet, only PLAINTEXT is spoken"
                ));
            }
            "security.protocol" => {}
            _ => self.unused.push(key),
        }
        Ok(())
    }
}

fn milliseconds(key: &str, value: &str) -> Result<Duration, String> {
    let number: Option<u32> = value.trim().parse().ok().filter(|ms| *ms <= i32::MAX as u32);
    let expected = || format!("{key}={value}: expected a number of ms, 0 to {}", i32::MAX);
    number.map(|ms| Duration::from_millis(ms.into())).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_is_told() {
        let text = "# a comment\nbootstrap.servers=a:1,b:2\nclient.id: ops\n\
                    request.timeout.ms=5000\ndefault.api.timeout.ms = 7000\n\
                    security.protocol=plaintext\nsasl.mechanism=PLAIN\nacks=1\n";
        let expected = CommandConfig {
            bootstrap: Some("a:1,b:2".to_owned()),
            client_id: Some("ops".to_owned()),
            request_timeout: Some(Duration::from_secs(5)),
            timeout: Some(Duration::from_secs(7)),
            unused: vec!["sasl.mechanism".to_owned(), "acks".to_owned()],
        };
        assert_eq!(CommandConfig::parse(text), Ok(expected));
        assert_eq!(CommandConfig::parse(""), Ok(CommandConfig::default()));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for protocol in ["SSL", "SASL_PLAINTEXT", "SASL_SSL", "nonsense", ""] {
            let text = format!("client.id=a\nsecurity.protocol={protocol}\n");
            let refused = CommandConfig::parse(&text).unwrap_err();
            assert_eq!(refused.line, 2);
            assert!(refused.what.starts_with(&format!("security.protocol={protocol}: TLS")));
        }
        for wrong in ["", "soon", "-1", "2147483648", "1.5"] {
            let refused = CommandConfig::parse(&format!("request.timeout.ms={wrong}"));
            assert!(refused.unwrap_err().what.contains("expected a number of ms"), "{wrong}");
        }
        assert_eq!(CommandConfig::parse("\n\na=\\u12").unwrap_err().line, 3);
    }
}
