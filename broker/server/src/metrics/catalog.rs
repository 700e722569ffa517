//! Every metric there is: name, type, labels, meaning. The scrape is written from here, and
//! `broker/docs/metrics.md` lists the same.
//!
//! What Kafka has too is named as Strimzi's rules for its exporter name it; everything else begins
//! with `tidelog_`, the process's own figures with `process_` as everywhere.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Def {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The labels that its series may have.
    pub(crate) labels: &'static [&'static str],
    /// One sentence, without quotes, backslashes and line ends.
    pub(crate) help: &'static str,
}

/// A part of the page.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) metrics: &'static [Def],
}

macro_rules! section {
    ($list:ident, $title:literal:
     $($def:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) const $def: Def = Def {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        #[cfg(test)]
        const $list: Section = Section { title: $title, metrics: &[$($def),*] };
    };
}

section! { REQUESTS, "Requests":
    REQUEST_COUNT = Counter "kafka_network_requestmetrics_requests_total" ["request", "version"]
        "Requests answered, by API and its version.";
    REQUEST_QUEUE = Summary "kafka_network_requestmetrics_requestqueuetimems" ["request"]
        "Milliseconds from a request's arrival until work on it began.";
    REQUEST_LOCAL = Summary "kafka_network_requestmetrics_localtimems" ["request"]
        "Milliseconds of work on the connection's thread.";
    REQUEST_REMOTE = Summary "kafka_network_requestmetrics_remotetimems" ["request"]
        "Milliseconds of waiting: for records, other members, a flush, a thread that may block.";
    RESPONSE_QUEUE = Summary "kafka_network_requestmetrics_responsequeuetimems" ["request"]
        "Milliseconds that an answer waited for the answers before it.";
    RESPONSE_SEND = Summary "kafka_network_requestmetrics_responsesendtimems" ["request"]
        "Milliseconds until the socket had taken the whole answer.";
    REQUEST_TOTAL = Summary "kafka_network_requestmetrics_totaltimems" ["request"]
        "Milliseconds from a request's arrival until its answer was sent.";
}

section! { CONNECTIONS, "Connections":
    CONNECTION_COUNT = Gauge "kafka_server_socket_server_metrics_connection_count"
        ["listener", "networkProcessor"]
        "Open connections of a listener; networkProcessor is always 0.";
    CONNECTIONS_ACCEPTED = Counter "tidelog_connections_accepted_total" []
        "Connections accepted.";
    CONNECTIONS_REFUSED = Counter "tidelog_connections_refused_total" []
        "Connections refused because their address had its share.";
    NETWORK_BYTES_IN = Counter "tidelog_network_bytes_in_total" []
        "Bytes received from clients, with all headers.";
    NETWORK_BYTES_OUT = Counter "tidelog_network_bytes_out_total" []
        "Bytes sent to clients, with all headers.";
}

section! { STORAGE, "Logs and disks":
    CORRUPT_BATCHES = Counter "tidelog_corrupt_batches_total" []
        "Bad batches that reads have met; each is counted once and never served.";
    LOG_DIRS_OFFLINE = Gauge "kafka_log_logmanager_offlinelogdirectorycount" []
        "Log directories out of service.";
}

/// Everything, in the order of the page.
#[cfg(test)]
pub(crate) const SECTIONS: &[Section] = &[REQUESTS, CONNECTIONS, STORAGE];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    /// The tables of broker/docs/metrics.md.
    fn documented() -> String {
        let mut text = String::new();
        for Section { title, metrics } in SECTIONS {
            let _ = write!(text, "\n### {title}\n\n| metric | type | labels | meaning |\n");
            text.push_str("|---|---|---|---|\n");
            for Def { name, kind, labels, help } in *metrics {
                let labels: Vec<String> = labels.iter().map(|l| format!("`{l}`")).collect();
                let (kind, labels) = (kind.name(), labels.join(" "));
                let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
            }
        }
        text.push('\n');
        text
    }

    #[test]
    fn the_page_lists_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("<!-- metrics: begin -->\n").unwrap();
        let (listed, _) = rest.split_once("<!-- metrics: end -->").unwrap();
        let expected = documented();
        assert!(listed == expected, "put this between the marks:\n{expected}");
    }

    #[test]
    fn names_are_well_formed_and_unique() {
        let plain = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !text.starts_with(|c: char| c.is_ascii_digit())
        };
        let mut seen = BTreeSet::new();
        for def in SECTIONS.iter().flat_map(|section| section.metrics) {
            assert!(seen.insert(def.name), "{} is there twice", def.name);
            assert!(plain(def.name) && def.name == def.name.to_lowercase(), "{}", def.name);
            assert!(def.labels.iter().all(|label| plain(label)), "{}", def.name);
            assert!(
                def.help.ends_with('.') && !def.help.contains(['\\', '\n', '|']),
                "{}",
                def.name
            );
            let is_total = def.name.ends_with("_total");
            assert_eq!(is_total, def.kind == Kind::Counter, "{}", def.name);
            let prefix = def.name.split('_').next();
            assert!(matches!(prefix, Some("kafka" | "tidelog" | "process")), "{}", def.name);
        }
    }
}
